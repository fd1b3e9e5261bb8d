"""Loaded models, and the pass that feeds every frame to all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from quadrat import __version__, engines, package, transforms
from quadrat.engines import Isolation
from quadrat.engines.agreement import Agreement
from quadrat.engines.common import thread_count
from quadrat.engines.host import HostedEngine
from quadrat.engines.limits import Limits, fits, megabytes
from quadrat.engines.none import NoNetwork
from quadrat.errors import EngineMemoryError, ParameterError, QuadratError
from quadrat.geometry import HW
from quadrat.media.size import working_hw
from quadrat.parameters import EngineSettings, EnhancementSettings, FrameSettings, Settings
from quadrat.parameters.applies import check_alone, check_stated, check_tasks, check_without_network
from quadrat.parameters.declare import AUTO
from quadrat.parameters.steps import JOIN
from quadrat.pipeline.cascade import AboutObjects, cascades_of, distinct_names
from quadrat.pipeline.labels import label
from quadrat.pipeline.tuned import Tuned
from quadrat.protocols import Engine, Task, Transform
from quadrat.steps import Steps, parse_steps
from quadrat.stores.temporary import temporary_folder
from quadrat.task_kinds import TaskKind, kind_of, needs_model
from quadrat.transforms.chain import Chain
from quadrat.types import ModelPackage, Provenance

AT_ONCE = 2
"""The number of concurrent runs of the network. Beside a video encoder, two runs with one thread each lose less
time than one run with two. More runs would need more memory, and were not measured."""

IN_FLIGHT = 3
"""Inputs that are in memory beside those of a batch: the next ones, and the copy that the engine gets."""
CLOSE_S = 60.0
"""Seconds to wait for runs of a network in this process before it is closed."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """Everything that turns a frame into a prediction; `name` identifies the model in its pass.

    `steps` change each picture before it is measured; `variant` names them if an order compares several.
    `at_once` is the number of concurrent runs that the engine supports; `turns` limits them, because a Python
    caller may iterate over two videos at once. `about` is set if the model measures the objects of a detector.
    `tuned` holds what was chosen for its engine with batch-size=auto.
    """

    package: ModelPackage
    transform: Transform
    engine: Engine
    task: Task
    settings: Settings
    name: str = ""
    at_once: int = 1
    turns: threading.Semaphore = field(default_factory=threading.Semaphore)
    about: AboutObjects | None = None
    steps: Steps = field(default_factory=Steps)
    variant: str = ""
    tuned: Tuned = field(default_factory=Tuned)

    @property
    def kind(self) -> TaskKind:
        """The record of the model's task."""
        return kind_of(self.package.task)

    @property
    def frames(self) -> FrameSettings:
        """The frame settings with the size in force for this model."""
        return self.settings.frames_for(shrinks=self.kind.shrinks)

    def working_hw(self, source_hw: HW) -> HW:
        """Return the (height, width) at which this model measures an image."""
        return working_hw(source_hw, self.frames.max_img_size)

    def seen_side(self, hw: HW) -> int:
        """Return the long side, in pixels, at which the network sees an image of `hw`; that of the image with tiles.

        It is 0 for a task that makes pictures, or brings them to one size: nothing is compared between their scales.
        """
        if not self.kind.compares_scales:
            return 0
        if isinstance(self.transform, Chain) and not self.settings.tiles.tile_size:
            hw = self.transform.scaled_hw(hw)
        return max(hw)

    def in_force(self, *, moving: bool) -> dict[str, Any]:
        """Return, by parameter, the values in force of settings that depend on model or machine; None if unused.

        A task may state more of what it does in its attribute `in_force`.
        """
        settings = self.settings
        size = self.frames.max_img_size or -1
        tracked = moving and self.kind.tracks and settings.tracking.tracker != "none"
        return {
            "max-img-size": None if size == -1 else size,
            "cpu-threads": thread_count(settings.engine.threads),
            "tile-overlap": settings.tiles.overlap if settings.tiles.tile_size else None,
            "tracker": settings.tracking.tracker if tracked else None,
            "min-score": settings.objects.least_score if "objects" in self.kind.groups else None,
            **getattr(self.task, "in_force", {}),
        }

    def is_empty(self, prediction: Any) -> bool | None:
        """Return True if a prediction contains nothing; None if the task cannot tell."""
        function = self.kind.part("is_empty")
        return None if function is None else bool(function(prediction, *self.kind.groups_of(self.settings)))

    def fault(self, prediction: Any, name: str) -> QuadratError | None:
        """Return an error if a prediction is incomplete, else None; `name` is the source's."""
        function = self.kind.part("fault")
        error: QuadratError | None = None if function is None else function(prediction, name)
        return error

    def provenance(self, order: str, model_urn: str) -> Provenance:
        """Return what the products of an order are made with."""
        return Provenance(
            order=order,
            model=model_urn,
            model_digest=self.package.digest,
            result_digest=self.settings.result_digest,
            service_version=__version__,
            engine=self.engine.name,
            engine_version=self.engine.version,
            precision=self.engine.precision,
            device=self.engine.device,
            enhance=str(self.steps),
        )


class Pass(Mapping[str, LoadedModel]):
    """The loaded models of a run, by name. Every frame is decoded once for all of them."""

    def __init__(self, models: Sequence[LoadedModel]) -> None:
        self._models = {model.name: model for model in models}
        self.settings = models[0].settings

    def __getitem__(self, name: str) -> LoadedModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the models, in the order in which they were given."""
        return tuple(self._models)

    @property
    def whole(self) -> tuple[str, ...]:
        """The names of the models that measure whole frames."""
        return tuple(name for name, model in self._models.items() if model.about is None)

    @property
    def on_objects(self) -> tuple[LoadedModel, ...]:
        """The models that measure the objects of a detector."""
        return tuple(model for model in self._models.values() if model.about is not None)

    @property
    def counted(self) -> tuple[str, ...]:
        """The names of the models with predictions of their own: those of whole frames, and those that name classes."""
        every = self._models.items()
        return tuple(name for name, model in every if model.about is None or model.kind.object_class)

    def kind_of(self, name: str) -> TaskKind:
        """Return the record of the task that a model's predictions belong to: the detector's for one about objects."""
        about = self._models[name].about
        return self._models[name if about is None else about.detector].kind

    @property
    def frames(self) -> FrameSettings:
        """The frame settings for reading: with the size that all models measure at, or with no limit if they differ.

        A picture that was shrunk for one model and then for another would give other numbers than in an order of its own.
        """
        each = [self._models[name].frames for name in self.whole]
        sizes = [frames.max_img_size for frames in each if isinstance(frames.max_img_size, int)]
        if len(sizes) < len(each):  # a given size is the same for all
            return each[0]
        return replace(each[0], max_img_size=sizes[0] if len(set(sizes)) == 1 else -1)


@contextmanager
def load_models(
    archives: Sequence[Path],
    settings: Settings,
    log: logging.Logger,
    *,
    throughput: bool = False,
    isolated: bool = False,
) -> Iterator[Pass]:
    """Load model archives, and keep them loaded while the context is open. Without any, the task is a built-in one.

    With `throughput`, networks are set up for AT_ONCE concurrent runs, if the engine supports that; otherwise for
    the shortest time per run. With `isolated`, each network runs in a child process with limits, where this system
    can do that. Raises ModelError for a fault of an archive, EngineError for one of the machine, and
    ParameterError for a setting that applies to no model or that a model cannot satisfy.
    """
    at_once = AT_ONCE if throughput else 1
    where = "compare" if settings.enhancement.compare else "enhance"
    variants = [
        (each, parse_steps(",".join(each.enhance) or "none", where)) for each in settings.enhancement.variants
    ]
    if not archives:
        yield Pass(_in_variants(_built_in(settings), variants))
        return
    hosts = engines.isolation(limits_of(settings)) if isolated else None
    with ExitStack() as stack:
        with _loading_library(settings, hosts, at_once):
            opened = [stack.enter_context(_unpacked(archive)) for archive in archives]
        if hosts is not None:
            stack.callback(hosts.end)
        names = distinct_names(opened, label)
        about = cascades_of(dict(zip(names, opened, strict=True)), settings.tracking.tracker)
        kinds = {name: kind_of(each.task, each.name) for name, each in zip(names, opened, strict=True)}
        check_stated(settings, {name: kind.name for name, kind in kinds.items()})
        check_alone({name: kind.measures for name, kind in kinds.items()})
        check_tasks(
            settings,
            {name: kind.name for name, kind in kinds.items()},
            {kind.name: kind.all_pictures for kind in kinds.values()},
        )
        loaded = [
            stack.enter_context(
                _started(each, name, settings, log, at_once=at_once, hosts=hosts, about=about)
            )
            for name, each in zip(names, opened, strict=True)
        ]
        yield Pass([each for model in loaded for each in _in_variants(model, variants)])


def _in_variants(
    model: LoadedModel, variants: Sequence[tuple[EnhancementSettings, Steps]]
) -> list[LoadedModel]:
    """Return a model for each variant of `compare`; they share the network, and each has its own settings."""
    if len(variants) == 1:
        return [replace(model, steps=variants[0][1])]
    made = []
    for enhancement, steps in variants:
        variant = str(steps).replace(",", JOIN)
        name = f"{model.name} {variant}"
        own = replace(model.settings, enhancement=enhancement)
        about = model.about and replace(model.about, detector=f"{model.about.detector} {variant}")
        made.append(replace(model, name=name, settings=own, steps=steps, variant=variant, about=about))
    return made


def _built_in(settings: Settings) -> LoadedModel:
    """Return the model of an order without an archive: a task that needs no network."""
    task = settings.order.task or ""
    if needs_model(task):
        raise ParameterError("it is required", where="model", hint="Give a model archive (model.tgz)")
    kind = kind_of(task)
    check_without_network(settings, task)
    check_tasks(settings, {task: task}, {task: kind.all_pictures})
    package = kind.part("built_in")()
    engine = NoNetwork()
    made: Task = kind.part("make")(package, engine.outputs, *kind.groups_of(settings))
    return LoadedModel(package, Chain(()), engine, made, settings, package.name)


def limits_of(settings: Settings) -> Limits:
    """Return the limits on networks that the settings state."""
    given = settings.limits
    memory = None if given.memory_limit is None else given.memory_limit * 10**6
    return Limits(memory, given.load_seconds, given.source_seconds)


@contextmanager
def _unpacked(archive: Path) -> Iterator[ModelPackage]:
    with temporary_folder("model") as folder:
        yield package.open_archive(archive, folder)


@contextmanager
def _started(
    opened: ModelPackage,
    name: str,
    settings: Settings,
    log: logging.Logger,
    *,
    at_once: int,
    hosts: Isolation | None,
    about: Mapping[str, AboutObjects],
) -> Iterator[LoadedModel]:
    """Start the network of an archive and make its task.

    The results of a model that is about objects are in pixels of the source, whatever size its crops have.
    """
    own = about.get(name)
    if own is not None:
        settings = replace(settings, masks=replace(settings.masks, result_size="source"))
    transform = transforms.build(opened.transforms)
    _log_fixed_batch(opened, settings, log)
    _check_memory(opened, settings)
    kind = kind_of(opened.task)
    plain = settings.engine.plain()
    agreement = Agreement(opened, plain, kind.part("differs"))
    engine = engines.start(opened, plain, log, at_once, hosts, agreement=agreement)
    turns = threading.Semaphore(engine.at_once)
    try:
        make: Callable[..., Task] = kind.part("make")
        task = make(opened, engine.outputs, *kind.groups_of(settings))
        if (check := getattr(task, "check", None)) is not None:
            check(engine)
        states = kind.part("settings")
        in_force = settings if states is None else states(opened, settings)
        yield LoadedModel(opened, transform, engine, task, in_force, name, engine.at_once, turns, own)
    finally:
        if not isinstance(engine, HostedEngine):
            _wait_for_runs(turns, engine.at_once)
        engine.close()


def _wait_for_runs(turns: threading.Semaphore, count: int) -> None:
    """Wait for runs under way in threads: a process that ends during a native run crashes with SIGABRT."""
    deadline = monotonic() + CLOSE_S
    for _ in range(count):
        turns.acquire(timeout=max(0.0, deadline - monotonic()))


def _check_memory(opened: ModelPackage, settings: Settings) -> None:
    """Raise EngineMemoryError if inputs of the size that the archive states do not fit into memory."""
    batch, channels, height, width = (*opened.input_shape, *[None] * 4)[:4]
    for spec in opened.transforms:
        size = spec.params.get("target_size") or spec.params.get("size")
        if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size):
            height, width = height or size[1], width or size[0]
    if height is None or width is None:
        return
    one = 4 * (channels or 3) * height * width
    count = batch or settings.engine.size
    if not fits(one * (count + IN_FLIGHT)):
        raise EngineMemoryError(
            f"its inputs of {count} x {channels or 3} x {height} x {width} need {megabytes(one)} each, and there is no "
            f"memory for {count + IN_FLIGHT} of them", where=opened.name,
            hint="Export the network with a smaller input or batch",
        )  # fmt: skip


def _log_fixed_batch(opened: ModelPackage, settings: Settings, log: logging.Logger) -> None:
    fixed = opened.input_shape[0] if opened.input_shape else None
    if fixed is not None and settings.engine.batch_size == AUTO:
        log.info("batch-size auto: nothing to try, as the network has a fixed batch size of %d", fixed)
    elif fixed is not None and settings.engine.batch_size not in (EngineSettings().batch_size, fixed):
        log.warning(
            "batch-size %s is not used: the network has a fixed batch size of %d. Export it with a dynamic one to choose",
            settings.engine.batch_size,
            fixed,
        )


@contextmanager
def _loading_library(settings: Settings, hosts: Isolation | None, at_once: int) -> Iterator[None]:
    """Load the library of the engine that is tried first while the body runs: it takes as long as unpacking.

    If that fails, the engine reports it when it starts. Always wait for an import in this process, because one that
    ends during a native import crashes with SIGSEGV.
    """
    if hosts is not None:
        hosts.prepare(settings.engine, at_once)
        try:
            yield
        except BaseException:
            hosts.end()
            raise
        return
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
