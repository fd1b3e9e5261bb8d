"""Settings for tests: a few values by field, the rest by default, unchecked."""

from __future__ import annotations

from quadrat.parameters import Settings


def settings_of(**values: object) -> Settings:
    """Make settings of some values; TypeError for a name that no group has.

    Networks run in this process if nothing else is asked for, which is faster and lets tests replace engines.
    """
    return Settings.of({"executor": "local", **values})
