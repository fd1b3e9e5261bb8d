"""An order on IVCAP through its SDK; the only file that imports ivcap_sdk_service.

When it is imported, the SDK reads the environment and removes the handlers of the root logger, and some of its calls
exit. It is therefore imported late, in `serve`, and used only to declare, describe and start the service.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat import console, interrupts
from quadrat.errors import ParameterError, SourceError
from quadrat.parameters import (
    CPU,
    DESCRIPTION,
    DISK,
    INPUTS,
    MEMORY,
    MODELS,
    NAME,
    RESULT_FOLDER,
    SEARCH,
    Parameter,
    check_inputs,
    parameters_of,
)
from quadrat.parameters.declare import AUTO
from quadrat.parameters.limits import InstanceSettings
from quadrat.platforms import sdk_log
from quadrat.platforms.arguments import add_arguments, local_path, remote
from quadrat.stores.addresses import public
from quadrat.stores.paths import swapped
from quadrat.task_kinds import needs_model

if TYPE_CHECKING:  # the stores import numpy, which --help does not need
    from quadrat.protocols import Store
    from quadrat.stores.proxy import Proxy
    from quadrat.types import StoreItem

TASK = "QUADRAT_DESCRIBE_TASK"
"""Environment variable: the service describes only the parameters of this task; `make service-description TASK=`."""


@dataclass(frozen=True)
class OrderContext:
    """Where an order runs: its identifier, the local folders, and the addresses of the platform's data proxy.

    `storage_url` and `cache_url` are None on a laptop; with a `storage_url` the folders are not used.
    """

    order_id: str
    in_dir: Path
    out_dir: Path
    storage_url: str | None = None
    cache_url: str | None = None


READY_VARIABLE = "ARGO_NODE_ID"
"""Environment variable with which the SDK waits for the data proxy."""
READY_S = 300.0
"""Seconds in which the platform's data proxy must be ready; the SDK waits for its answer without a limit."""

Handler = Callable[[Mapping[str, Any], OrderContext, logging.Logger], int]


def serve(handler: Handler) -> None:
    """Hand the process to the SDK, which calls `handler` with the order's parameters and exits.

    `handler` receives the values by name, the order's context and the SDK's logger, and returns the exit status.
    """
    console.protect()
    interrupts.install()
    try:
        _serve(handler)
    finally:
        interrupts.leave()
        console.release()


def _serve(handler: Handler) -> None:
    """Declare the service to the SDK, and let it start."""
    try:
        declared = parameters_of(os.environ.get(TASK, ""))
    except ParameterError as error:
        sys.stderr.write(f"{error.line}\n")
        raise SystemExit(error.exit_status) from None
    if not os.environ.get("IVCAP_INSIDE_CONTAINER"):
        # the SDK's cache of URLs serves empty files on the second run, and creates a folder in the current one
        os.environ.setdefault("IVCAP_CACHE_DIR", "")
    try:
        import ivcap_sdk_service as sdk
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"{error.name} is not installed. Run make setup, then .venv/bin/python infer_service.py\n"
        )
        raise SystemExit(1) from None

    logs = [logging.getLogger(name) for name in ("ivcap", "service")]
    sdk_log.tame(logs, local=not os.environ.get("IVCAP_INSIDE_CONTAINER"))
    service = sdk.Service(
        name=NAME,
        description=DESCRIPTION,
        parameters=[_declare(sdk, parameter) for parameter in declared],
        workflow=sdk.PythonWorkflow(min_memory=MEMORY, min_cpu=CPU, min_ephemeral_storage=DISK),
    )

    service.append_arguments = add_arguments
    ready = _Ready()

    def start(args: Any, log: logging.Logger) -> int:
        ready.watch.cancel()
        ours = logging.getLogger("quadrat")
        ours.handlers, ours.propagate = list(log.handlers), False
        ours.setLevel(logging.INFO)
        return handler(args._asdict(), _context(sdk.get_config()), log)

    try:
        if os.environ.get(READY_VARIABLE):
            ready.watch.start()
        sdk.register_service(service, start)
    except interrupts.Interrupt:
        if not ready.is_late:
            raise
        late = SourceError(f"the data proxy was not ready within {READY_S:g} seconds")
        sys.stderr.write(f"{late.line}\n")
        raise SystemExit(late.exit_status) from None
    finally:
        ready.watch.cancel()


class _Ready:
    """Ends the SDK's wait for the data proxy after READY_S: `is_late` is True then."""

    def __init__(self) -> None:
        self.is_late = False
        self.watch = threading.Timer(READY_S, self._give_up)
        self.watch.daemon = True

    def _give_up(self) -> None:
        self.is_late = True
        os.kill(os.getpid(), signal.SIGTERM)


def _declare(sdk: Any, parameter: Parameter) -> Any:
    """Convert a parameter to the SDK's class. A bool gets no default: the SDK would turn False into a true text.

    The SDK's class has no `label`, so the label is added to the description.
    """
    declared = sdk.Parameter(
        name=parameter.name,
        type=sdk.Type(parameter.platform_kind),
        description=parameter.help,
        options=[sdk.Option(value=choice) for choice in parameter.choices] or None,
        default=str(parameter.default) if parameter.kind == AUTO else parameter.default,
        unit=parameter.unit or None,
        optional=parameter.optional,
    )
    plain = declared.to_dict
    declared.to_dict = lambda: {**plain(), "label": f"{parameter.group}: {parameter.name}"}
    return declared


def _context(config: Any) -> OrderContext:
    """Read the order's context from the SDK's configuration."""
    return OrderContext(
        order_id=config.ORDER_ID,
        in_dir=Path(config.IO_ADAPTER.in_dir),
        out_dir=Path(config.OUT_DIR),
        storage_url=config.STORAGE_URL or None,
        cache_url=config.CACHE_PROXY_URL,
    )


def complete(values: Mapping[str, Any], context: OrderContext) -> Mapping[str, Any]:
    """Return an order's values over those of its config file, if it has one: a local file, or an artifact.

    Raises ParameterError if the file does not exist or has invalid settings, SourceError if the artifact cannot be
    fetched. Nothing is fetched for an order without sources, or without a model unless its `task` needs none. A local
    file is read before they are checked, because its errors may explain why they are missing.
    """
    if not values.get("config"):
        return values
    from quadrat.platforms.config import over_config, read_config
    from quadrat.stores.platform import copied
    from quadrat.stores.strict import MAX_JSON

    reference = str(values["config"])
    if context.storage_url:
        _check_needed(values)
        proxy, name = _proxy(values, context), public(reference)
        with copied(proxy, proxy.url(remote(reference, "config")), name, MAX_JSON) as copy:
            return over_config(values, read_config(copy, name), platform=True)
    path = local_path(reference, context.in_dir, "config")
    return over_config(values, read_config(path, path.name), platform=False)


def _proxy(values: Mapping[str, Any], context: OrderContext) -> Proxy:
    """Return a client of the platform's data proxy, as patient as the order asks."""
    from quadrat.stores.proxy import RETRY_S, Proxy

    given = values.get("retry_seconds")
    return Proxy(str(context.storage_url), context.cache_url, RETRY_S if given is None else float(given))


def _instance_limits(values: Mapping[str, Any]) -> InstanceSettings:
    """Return the limits on a list of instances that an order gives, before its settings are checked."""
    from quadrat.parameters import parse

    return parse({each.name: values.get(each.field) for each in InstanceSettings.declared()}).instances


def _check_needed(values: Mapping[str, Any]) -> str:
    """Return which one of INPUTS is given; ParameterError unless there is exactly one, and a model if the task needs one.

    A search that measures nothing has neither; the name is then empty.
    """
    searches = values.get("task") == SEARCH
    if searches and not any(values.get(each) for each in (*INPUTS, *MODELS)):
        return ""
    name = check_inputs(values)
    if searches and not any(values.get(each) for each in MODELS):
        raise ParameterError(
            "the pictures that are looked for need it",
            where="model",
            hint="Give the embedding archive that made the index",
        )
    if not values.get("model") and not values.get("models") and needs_model(values.get("task")):
        raise ParameterError(
            "it is required",
            where="model",
            hint="Give --model FILE (model.tgz), or --task enhance without one",
        )
    if values.get("model") and values.get("models"):
        raise ParameterError("it cannot be combined with models", where="model", hint="Leave one of them out")
    return name


def _references(values: Mapping[str, Any]) -> list[str]:
    """List the archives that `model` or `models` names, none without either; ParameterError if `models` names none."""
    if values.get("model"):
        return [str(values["model"])]
    if not values.get("models"):
        return []
    given = values["models"]
    parts = given.split(",") if isinstance(given, str) else [str(part) for part in given]
    named = [part.strip() for part in parts if part.strip()]
    if not named:
        hint = "Give a folder of archives (*.tgz), or their paths separated by commas"
        raise ParameterError("it names no archive", where="models", hint=hint)
    return named


def find_archives(references: list[str], below: Path) -> list[Path]:
    """Find the local archives that are named; a folder stands for all archives in it, in order of name."""
    found: list[Path] = []
    for reference in references:
        path = local_path(reference, below, "models")
        inside = _archives_in(path) if path.is_dir() else [path]
        if not inside:
            raise ParameterError(f"there is no archive (*.tgz) in {reference!r}", where="models")
        found += inside
    return found


def _archives_in(folder: Path) -> list[Path]:
    """List the archives in a folder, without hidden files such as those of macOS (._model.tgz)."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        what = f"the folder {str(folder)!r} cannot be read ({error.strerror})"
        raise ParameterError(what, where="models") from error
    return [folder / name for name in names if name.endswith(".tgz") and not name.startswith(".")]


def open_store(values: Mapping[str, Any], context: OrderContext) -> Store:
    """Return the store of an order: the platform, or local folders.

    Raises ParameterError unless exactly one kind of sources is given, and a model if the task needs one, and they can
    be found.
    """
    from quadrat.stores.folder import FolderStore
    from quadrat.stores.instances import Instances, is_list
    from quadrat.stores.paths import results_in
    from quadrat.stores.platform import PlatformStore
    from quadrat.stores.streams import list_streams

    name = _check_needed(values)
    models, given = _references(values), str(values[name]) if name else ""
    moving = INPUTS.get(name, "image") != "image"
    streams = list_streams(given) if name == "streams" else None
    if context.storage_url:
        for local in RESULT_FOLDER:
            if values.get(local):
                raise ParameterError("it is for local folders only", where=local, hint="Leave it out")
        proxy = _proxy(values, context)
        images = (streams or remote(given, name)) if name else []
        index = remote(str(values["from_index"]), "from-index") if values.get("from_index") else ""
        urns = [remote(each, "model") for each in models]
        return PlatformStore(proxy, context.order_id, urns, images, moving=moving, index=index)
    below = context.in_dir
    one = values.get("model")
    archives = [local_path(str(one), below, "model")] if one else find_archives(models, below)
    place = (streams or local_path(given, below, name)) if name else []
    if isinstance(place, Path) and swapped(archives, [place]):
        what = f"it is not a model archive, but {name} is one"
        raise ParameterError(what, where="model", hint=f"Swap the values of --model and --{name}")
    sources: Path | Iterable[StoreItem] = place
    if isinstance(place, Path) and not moving and is_list(place):
        sources = Instances(place, _instance_limits(values))
    out, overwrite = results_in(context.out_dir, values.get("into")), bool(values.get("overwrite"))
    base = local_path(str(values["from_index"]), below, "from-index") if values.get("from_index") else None
    return FolderStore(
        archives,
        sources,
        out,
        context.order_id,
        moving=moving,
        overwrite=overwrite,
        in_folders=False,
        index=base,
    )
