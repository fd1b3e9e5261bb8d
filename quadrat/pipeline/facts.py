"""What tables and products need to know of the models of a pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from quadrat.package.scale import trained_size
from quadrat.parameters import ObjectSettings
from quadrat.pipeline.appearance import appearance_of
from quadrat.pipeline.labels import labels_of, urns_of
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.report.base import ModelFacts


def facts_of(models: Pass, order: str, urns: Sequence[str], *, moving: bool) -> tuple[ModelFacts, ...]:
    """Return the facts of all models; `urns` are their URNs in the same order, none for a built-in task."""
    urn_of, labels, counted = urns_of(models, urns), labels_of(models), models.counted
    own = {
        name: _facts(model, order, urn_of[name], labels[name], moving=moving)
        for name, model in models.items()
    }
    if moving:
        own = {name: _with_appearance(each, appearance_of(models, name)) for name, each in own.items()}
    details = [(model.about.detector, own[model.name]) for model in models.on_objects if model.about]
    return tuple(
        replace(own[name], details=tuple(each for detector, each in details if detector == name))
        if model.about is None
        else _as_objects(own[name], own[model.about.detector], counted=name in counted)
        for name, model in models.items()
    )


def _with_appearance(facts: ModelFacts, appearance: str | None) -> ModelFacts:
    """Return the facts with what the tracker of the model compares."""
    return replace(facts, provenance=replace(facts.provenance, appearance=appearance))


def _facts(model: LoadedModel, order: str, urn: str, label: str, *, moving: bool) -> ModelFacts:
    classes = model.package.classes if model.about is None else model.about.parts
    unscaled = model.settings.tiles.tile_size or model.about is not None or not model.kind.compares_scales
    return ModelFacts(
        model.name,
        model.package.task,
        label,
        model.provenance(order, urn),
        classes,
        model.package.num_classes,
        model.kind.groups_of(model.settings),
        model.in_force(moving=moving),
        None if unscaled else trained_size(model.package),
        stated=json.dumps(
            {key: model.package.meta.get(key) for key in ("task", model.package.task, "classes", "outputs")}
        ),
        variant=model.variant,
    )


def _as_objects(own: ModelFacts, detector: ModelFacts, *, counted: bool) -> ModelFacts:
    """Return the facts of a model about objects as those of a detector with its classes.

    The class filter of an order is about the detector's own classes.
    """
    groups = tuple(
        replace(each, classes=ObjectSettings().classes) if isinstance(each, ObjectSettings) else each
        for each in detector.groups
    )
    digest = detector.provenance.model_digest
    own = replace(own, provenance=replace(own.provenance, detector_digest=digest))
    return replace(
        own, task=detector.task, groups=groups, about=detector.name, counted=counted, own=own, label=own.label
    )
