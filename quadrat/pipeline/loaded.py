"""A model archive, opened and ready: package, transforms, engine and task as one."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from quadrat import __version__, engines, package, tasks, transforms
from quadrat.parameters import FrameSettings, Settings
from quadrat.protocols import Engine, Task, Transform
from quadrat.types import ModelPackage, Provenance

AT_ONCE = 2
"""Runs of the network side by side: beside an encoder two of one thread lose less time than one of two. More
would take more memory, and were not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """All that turns a frame into a prediction."""

    package: ModelPackage
    transform: Transform
    engine: Engine
    task: Task
    settings: Settings
    at_once: int = 1
    """Runs that the engine does side by side."""
    turns: threading.Semaphore = field(default_factory=threading.Semaphore)
    """Held while the engine runs: a caller in Python may be in the middle of two videos."""

    @property
    def frames(self) -> FrameSettings:
        """The frame settings with the size in force."""
        return self.settings.for_masks(whole=self.package.task == "segment")

    def provenance(self, order: str, model_urn: str) -> Provenance:
        """Say what makes the products of an order."""
        return Provenance(
            order=order,
            model=model_urn,
            model_digest=self.package.digest,
            settings_digest=self.settings.digest,
            result_digest=self.settings.result_digest,
            service_version=__version__,
            engine=self.engine.name,
            engine_version=self.engine.version,
            precision=self.engine.precision,
            device=self.engine.device,
        )


@contextmanager
def load_model(
    archive: Path, settings: Settings, log: logging.Logger, *, many: bool = False
) -> Iterator[LoadedModel]:
    """Open a model archive for as long as the context lasts.

    With `many` the network is set up for a stream of frames, of which AT_ONCE are measured side by side where
    the engine can, else for one input at a time and as soon as can be.
    Raises ModelError for a fault of the archive, EngineError for one of the machine, ParameterError
    for settings that this model cannot answer.
    """
    with tempfile.TemporaryDirectory(prefix="quadrat-model-") as folder:
        with _importing_openvino(settings):
            opened = package.open_archive(archive, Path(folder))
        tasks.check(opened, settings)
        transform = transforms.build(opened.transforms)
        _say_fixed_batch(opened, settings, log)
        engine = engines.start(opened, settings.engine, log, AT_ONCE if many else 1)
        try:
            task = tasks.make(opened, engine.outputs, settings)
            turns = threading.Semaphore(engine.at_once)
            yield LoadedModel(opened, transform, engine, task, settings, engine.at_once, turns)
        finally:
            engine.close()


def _say_fixed_batch(opened: ModelPackage, settings: Settings, log: logging.Logger) -> None:
    fixed = opened.input_shape[0] if opened.input_shape else None
    if fixed is not None and settings.engine.batch_size not in (1, fixed):
        log.warning(
            "batch-size %d is not used: this network takes %d at once. Export it with a dynamic batch to choose",
            settings.engine.batch_size,
            fixed,
        )


@contextmanager
def _importing_openvino(settings: Settings) -> Iterator[None]:
    """Import it meanwhile, if it is to be tried: that takes as long as to unpack an archive.

    Where it fails, the engine's own start says so. It is waited for in any case: a process that ends
    in the middle of a native import dies of SIGSEGV.
    """
    if settings.engine.device != "cpu" or settings.engine.engine not in ("auto", "openvino"):
        yield
        return
    thread = threading.Thread(target=_import_openvino, name="quadrat-import")
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _import_openvino() -> None:
    from quadrat.engines import openvino

    with suppress(Exception):
        openvino.library()
