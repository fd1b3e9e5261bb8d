"""What all runs into one folder of results have in common."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.parameters import SETTINGS, PictureSettings, Settings
from quadrat.report.base import ModelFacts

SHAPING = (PictureSettings.title,)
"""Groups of settings that shape pictures."""
KEPT = ("index", "task")
"""Settings that decide what records keep."""


def identity_of(place: str, models: Sequence[ModelFacts], settings: Settings) -> dict[str, str]:
    """Return the sources' place, the models, and every setting that shapes a product, as texts by name.

    Two runs with equal identities give equal products of an unchanged source.
    """
    values = settings.values()
    shaping = [each for each in SETTINGS if each.shapes_result or each.group in SHAPING or each.name in KEPT]
    identity = {"version": models[0].provenance.service_version, "sources": place}
    for number, model in enumerate(models, 1):
        made = model.provenance
        which = f"model {number}" if len(models) > 1 else "model"
        identity[which] = f"{model.name} ({made.model_digest[:12]})"
        identity[f"engine of {which}"] = (
            f"{made.engine} {made.engine_version}, {made.device}, {made.precision}"
        )
    return identity | {each.name: _text(values[each.field]) for each in shaping}


def _text(value: object) -> str:
    if value is None or value == ():
        return "the default"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
