"""Predictions -> metadata aspects and tables; one report per task, found here by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from quadrat.parameters import Settings
from quadrat.report.base import MakeReport, Report
from quadrat.report.names import Names
from quadrat.report.survey import Survey
from quadrat.types import ModelPackage, Provenance

REPORTS = {"segment": "quadrat.report.masks:MaskReport", "detect": "quadrat.report.objects:ObjectReport"}


def make(
    package: ModelPackage,
    settings: Settings,
    provenance: Provenance,
    *,
    names: Names,
    survey: Survey,
    folder: Path,
) -> Report:
    """Make the report of the archive's task; `folder` is for its files under way.

    Raises ParameterError where the settings ask for pictures that the task has not.
    """
    module, attribute = REPORTS[package.task].split(":")
    maker = cast(MakeReport, getattr(import_module(module), attribute))
    return maker(package, settings, provenance, names=names, survey=survey, folder=folder)
