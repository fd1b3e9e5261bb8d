"""The order as the platform's SDK gives it; the only file that imports ivcap_sdk_service.

The SDK reads the environment when it is imported, wipes the root logger's handlers, and exits inside calls: so it is
imported late, in `serve`, and asked only for what it does well: declare, describe, parse, and start.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlparse

from quadrat.settings import CPU, DESCRIPTION, DISK, MEMORY, NAME, PARAMETERS, Parameter, check_inputs

if TYPE_CHECKING:  # the stores load arrays, which no --help needs
    from quadrat.types import Store

Handler = Callable[[Mapping[str, Any], logging.Logger], int]


def serve(handler: Handler) -> None:
    """Give the process to the SDK, which calls `handler` with the order's parameters and exits.

    `handler` gets the values by name and the SDK's logger, and returns the exit status.
    """
    if not os.environ.get("IVCAP_INSIDE_CONTAINER"):
        # its cache of URLs serves empty files on the second run, and litters the working folder
        os.environ.setdefault("IVCAP_CACHE_DIR", "")
    import ivcap_sdk_service as sdk

    service = sdk.Service(
        name=NAME,
        description=DESCRIPTION,
        parameters=[_declare(sdk, parameter) for parameter in PARAMETERS],
        workflow=sdk.PythonWorkflow(min_memory=MEMORY, min_cpu=CPU, min_ephemeral_storage=DISK),
    )

    def start(args: Any, log: logging.Logger) -> int:
        ours = logging.getLogger("quadrat")
        ours.handlers, ours.propagate = list(log.handlers), False
        ours.setLevel(logging.INFO)
        signal.signal(signal.SIGTERM, _terminate)
        return handler(args._asdict(), log)

    sdk.register_service(service, start)


def _terminate(number: int, _frame: object) -> NoReturn:
    """Leave by way of every `finally`; as a container's first process we would else not even be ended."""
    raise SystemExit(128 + number)


def _declare(sdk: Any, parameter: Parameter) -> Any:
    """Turn a parameter into the SDK's; a bool has no default, which would make False a true text."""
    return sdk.Parameter(
        name=parameter.name,
        type=sdk.Type(parameter.kind),
        description=parameter.help,
        options=[sdk.Option(value=choice) for choice in parameter.choices] or None,
        default=parameter.default,
        unit=parameter.unit or None,
        optional=parameter.optional,
    )


def open_store(values: Mapping[str, Any]) -> Store:
    """Give the store of the order that the SDK has started: the platform's, or local folders.

    Raises ParameterError unless exactly one of `image` and `images` is given.
    """
    import ivcap_sdk_service as sdk

    from quadrat.artifacts.folder import FolderStore
    from quadrat.artifacts.platform import PlatformStore
    from quadrat.artifacts.proxy import Proxy

    check_inputs(values.get("image"), values.get("images"))
    images = (values.get("images") or values["image"]).urn
    model = values["model"].urn
    config = sdk.get_config()
    if not config.STORAGE_URL:
        store = FolderStore(_path(model), _path(images), Path(config.OUT_DIR))
        store.order = config.ORDER_ID
        return store
    proxy = Proxy(config.STORAGE_URL, config.CACHE_PROXY_URL)
    return PlatformStore(proxy, config.ORDER_ID, model, images)


def _path(urn: str) -> Path:
    """Give the local path in the SDK's `urn:file://path`, which it does not encode."""
    text = urn.removeprefix("urn:")
    if text.startswith("file://file:"):  # a file:// URL given as a collection
        return Path(unquote(urlparse(text.removeprefix("file://")).path))
    return Path(text.removeprefix("file://"))
