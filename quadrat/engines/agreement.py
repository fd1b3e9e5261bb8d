"""Whether an engine agrees with the self-test of an archive; the answer is kept on disk, as it never changes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from quadrat.engines.common import cache_folder
from quadrat.errors import QuadratError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage

ALLOWED = 0.01
"""Share of the pixels or objects that may differ: engines round differently, and some pixels nearly tie."""

Differs = Callable[[ModelPackage, Engine, float], str]
"""Returns how an engine differs from the self-test, or ""; ALLOWED is given to it."""


class Agreement:
    """Compares engines with the self-test of an archive, in fp32 on the CPU, where it was made."""

    def __init__(self, package: ModelPackage, settings: EngineSettings, differs: Differs | None) -> None:
        self._package = package
        plain = settings.device == "cpu" and settings.precision == "fp32"
        self._differs = differs if plain and package.self_test else None

    def reason(self, engine: Engine) -> str:
        """Return how the engine differs from the self-test or fails on it, or ""."""
        if self._differs is None:
            return ""
        place = self._place(engine)
        if place is not None and place.exists():
            return ""
        try:
            reason = self._differs(self._package, engine, ALLOWED)
        except QuadratError as error:
            return error.what
        if not reason and place is not None:
            with suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.touch()
        return reason

    def _place(self, engine: Engine) -> Path | None:
        """Return the file that exists once this engine has agreed with this archive on this kind of machine."""
        folder = cache_folder()
        if folder is None or not self._package.digest:
            return None
        parts = [self._package.digest, engine.name, engine.version, platform.machine(), platform.processor()]
        return folder / "agreed" / hashlib.sha256(json.dumps(parts).encode()).hexdigest()
