from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quadrat.errors import ParameterError
from quadrat.interrupts import ENDINGS
from quadrat.parameters import PARAMETERS
from quadrat.platforms import ivcap_order
from quadrat.platforms.ivcap_order import OrderContext
from quadrat.stores.folder import FolderStore
from quadrat.stores.platform import PlatformStore
from quadrat.stores.proxy import Proxy

ORDER = "urn:ivcap:order:1"
STORAGE = "http://artifact.local"
MODEL, IMAGE, QUEUE = "urn:ivcap:artifact:1", "urn:ivcap:artifact:2", "urn:ivcap:queue:3"


class Declared(SimpleNamespace):
    """A stand-in for the SDK's Parameter, which describes itself."""

    def to_dict(self) -> dict[str, Any]:
        """Give the description."""
        return dict(vars(self))


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A stand-in for the SDK, which reads the environment and wipes log handlers when it is imported."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {number: signal.getsignal(number) for number in (*ENDINGS, signal.SIGHUP)}
    config = SimpleNamespace(
        STORAGE_URL=None, CACHE_PROXY_URL=None, ORDER_ID=ORDER, OUT_DIR=str(tmp_path / "out"),
        IO_ADAPTER=SimpleNamespace(in_dir=str(tmp_path)),
    )  # fmt: skip
    fake = SimpleNamespace(
        config=config, get_config=lambda: config, registered=[], Type=str,
        **dict.fromkeys(("Service", "Option", "PythonWorkflow"), SimpleNamespace), Parameter=Declared,
    )  # fmt: skip
    fake.register_service = lambda *given: fake.registered.append(given)
    monkeypatch.setitem(sys.modules, "ivcap_sdk_service", fake)
    yield fake
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def here(tmp_path: Path) -> OrderContext:
    """A laptop, with a model and a photograph in its in-dir."""
    for name in ("model.tgz", "one.jpg"):
        (tmp_path / name).touch()
    return OrderContext(ORDER, tmp_path, tmp_path / "out")


@pytest.fixture
def there(here: OrderContext) -> OrderContext:
    """The platform."""
    return replace(here, storage_url=STORAGE)


def test_a_local_order(here: OrderContext, tmp_path: Path) -> None:
    """Without a storage address, paths below in-dir are the store's and products go to out-dir."""
    store = ivcap_order.open_store({"model": "model.tgz", "image": "one.jpg", "images": None}, here)

    assert isinstance(store, FolderStore)
    assert store.order == ORDER
    with store.models() as models:
        assert {f"urn:{(tmp_path / 'model.tgz').resolve().as_uri()}": tmp_path / "model.tgz"} == models
    assert [item.name for item in store.sources()] == ["one.jpg"]  # type: ignore[union-attr]


def test_results_go_into_a_folder_in_the_folder_of_results(here: OrderContext) -> None:
    """With its own ledger; only names are taken, which lead nowhere else."""
    given = {"model": "model.tgz", "image": "one.jpg"}
    with ivcap_order.open_store({**given, "into": "second"}, here).ledger() as ledger:
        assert ledger.folder.is_relative_to(here.out_dir / "second")
    for name in ("..", "a/b", ".hidden", "a\\b"):
        with pytest.raises(ParameterError, match="is not the name of a folder"):
            ivcap_order.open_store({**given, "into": name}, here)


@pytest.mark.parametrize("given", [{"into": "second"}, {"overwrite": True}])
def test_on_the_platform_results_have_no_folder(there: OrderContext, given: dict[str, Any]) -> None:
    """Artifacts of different orders never share a name."""
    with pytest.raises(ParameterError, match="for local folders only"):
        ivcap_order.open_store({"model": MODEL, "images": QUEUE, **given}, there)


def test_several_models_on_this_machine(here: OrderContext, tmp_path: Path) -> None:
    """Paths separated by commas, or a folder, which stands for its archives in order of name."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("b.tgz", "a.tgz", "notes.txt"):
        (folder / name).touch()
    for given in ("models", "models/a.tgz, models/b.tgz"):
        with ivcap_order.open_store({"models": given, "image": "one.jpg"}, here).models() as models:
            assert [path.name for path in models.values()] == ["a.tgz", "b.tgz"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="there is no archive"):
        ivcap_order.open_store({"models": "empty", "image": "one.jpg"}, here)
    with pytest.raises(ParameterError, match="it names no archive"):
        ivcap_order.open_store({"models": " , ", "image": "one.jpg"}, here)
    (folder / "._a.tgz").touch()  # macOS writes such files beside the real ones
    with ivcap_order.open_store({"models": "models", "image": "one.jpg"}, here).models() as models:
        assert [path.name for path in models.values()] == ["a.tgz", "b.tgz"]
    with pytest.raises(ParameterError, match="combined with models"):
        ivcap_order.open_store({"model": "model.tgz", "models": "models", "image": "one.jpg"}, here)


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_task_that_needs_no_model(place: str, request: pytest.FixtureRequest) -> None:
    """The store has no archives; any other task needs one, and a config file can state the task."""
    context: OrderContext = request.getfixturevalue(place)
    image = "one.jpg" if place == "here" else IMAGE
    with ivcap_order.open_store({"task": "enhance", "image": image}, context).models() as models:
        assert models == {}
    for task in ("detect", "dance", None):
        with pytest.raises(ParameterError, match="model: it is required"):
            ivcap_order.open_store({"task": task, "image": image}, context)


@pytest.mark.parametrize(
    "images", [{"images": QUEUE}, {"images": IMAGE}, {"image": IMAGE}, {"image": "urn:https://a.example/x"}]
)
def test_an_order_on_the_platform(there: OrderContext, images: dict[str, str]) -> None:
    """With a storage address everything is asked of the proxy, and nothing is asked before it is needed."""
    store = ivcap_order.open_store({"model": MODEL, **images}, there)

    assert isinstance(store, PlatformStore)
    assert store.order == ORDER


@pytest.mark.parametrize("storage", [None, STORAGE])
def test_an_order_of_streams(here: OrderContext, storage: str | None) -> None:
    """Streams are addresses wherever the order runs; only the model is an artifact or a file."""
    values = {"model": MODEL if storage else "model.tgz", "streams": "rtsp://u:p@cam/1, http://cam/2"}

    store = ivcap_order.open_store(values, replace(here, storage_url=storage))

    assert isinstance(store, PlatformStore if storage else FolderStore)
    assert store.moving
    assert ["rtsp://cam/1", "http://cam/2"] == [item.name for item in store.sources()]  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "value"), [("video", IMAGE), ("videos", QUEUE), ("videos", IMAGE)])
def test_an_order_of_videos(
    here: OrderContext, there: OrderContext, tmp_path: Path, name: str, value: str
) -> None:
    """Videos come from where images come from."""
    (tmp_path / "dives").mkdir()
    (tmp_path / "dives" / "one.mp4").touch()
    local = ivcap_order.open_store({"model": "model.tgz", name: "dives"}, here)
    remote = ivcap_order.open_store({"model": MODEL, name: value}, there)

    assert (True, True) == (local.moving, remote.moving)
    assert [("one.mp4", "video")] == [(s.name, s.media) for s in local.relist()]


@pytest.mark.parametrize(
    ("values", "storage", "named"),
    [
        ({"model": "model.tgz"}, None, "image, images, video, videos, streams"),
        ({"model": "model.tgz", "video": "one.mp4", "streams": "rtsp://a/b"}, None, "video, streams"),
        ({"model": "model.tgz", "image": "one.jpg", "images": "."}, None, "image, images"),
        ({"image": "one.jpg"}, None, "model"),
        ({"model": "none.tgz", "image": "one.jpg"}, None, "model"),
        ({"model": "model.tgz", "images": QUEUE}, None, "images"),
        ({"model": "model.tgz", "image": IMAGE}, STORAGE, "model"),
        ({"model": MODEL, "images": "/photos"}, STORAGE, "images"),
    ],
)
def test_what_cannot_be_meant(
    here: OrderContext, values: dict[str, str], storage: str | None, named: str
) -> None:
    """Inputs that are missing, doubled or in the wrong place are the parameter's error, which it names."""
    with pytest.raises(ParameterError) as caught:
        ivcap_order.open_store(values, replace(here, storage_url=storage))
    assert caught.value.where == named


def test_an_order_without_a_config_file_is_as_it_is(here: OrderContext) -> None:
    """Nothing is looked for, and nothing is checked, that is not given."""
    values = {"config": None, "batch_size": 2}
    assert ivcap_order.complete(values, here) is values


def test_a_config_file_is_found_as_the_model_is(here: OrderContext, tmp_path: Path) -> None:
    """A relative path below in-dir, and a file URL; what the order says goes before the file."""
    (tmp_path / "dive.yaml").write_text("batch-size: 4\ntile-size: 640\n")
    values = {"model": "model.tgz", "image": "one.jpg", "batch_size": 1, "tile_size": None}

    for config in ("dive.yaml", (tmp_path / "dive.yaml").as_uri()):
        got = ivcap_order.complete({**values, "config": config}, here)
        assert got == {**values, "config": config, "tile_size": 640}


@pytest.mark.parametrize(
    ("values", "storage", "named"),
    [
        ({"config": "none.yaml"}, None, "config"),
        ({"config": IMAGE}, None, "config"),
        ({"config": "dive.yaml"}, STORAGE, "config"),
        ({"config": "of-files.yaml", "model": None, "image": None}, None, "of-files.yaml, model"),
        ({"config": MODEL, "model": None}, STORAGE, "model"),
        ({"config": MODEL, "image": None}, STORAGE, "image, images, video, videos, streams"),
    ],
)
def test_a_config_file_that_cannot_be_meant(
    here: OrderContext, tmp_path: Path, values: dict[str, Any], storage: str | None, named: str
) -> None:
    """One that is not here, not on the platform, or names files; an order that cannot run fetches none."""
    (tmp_path / "of-files.yaml").write_text("model: m.tgz\nvideos: dives\n")

    with pytest.raises(ParameterError) as caught:
        ivcap_order.complete({"model": MODEL, "image": IMAGE, **values}, replace(here, storage_url=storage))
    assert caught.value.where == named


def test_on_the_platform_a_default_does_not_override_the_file(
    there: OrderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform may fill in every default, so that only other values are known to be the user's."""

    def fetch(_self: Proxy, _url: str, path: Path, _name: str, _largest: int = 0) -> None:
        path.write_text("batch-size: 4\ntile-size: 640\n")

    monkeypatch.setattr(Proxy, "fetch", fetch)
    values = {"model": MODEL, "image": IMAGE, "config": MODEL, "batch_size": 1, "tile_size": 320}
    assert ivcap_order.complete(values, there) == {**values, "batch_size": 4}


@pytest.mark.parametrize(("inside", "cache"), [("", ""), ("Yes", None)])
def test_what_the_sdk_is_told(
    sdk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, inside: str, cache: str | None
) -> None:
    """Every parameter is declared, switches without a default; the SDK's cache is off on a laptop only."""
    monkeypatch.setenv("IVCAP_INSIDE_CONTAINER", inside)
    monkeypatch.delenv("IVCAP_CACHE_DIR", raising=False)

    ivcap_order.serve(lambda values, context, log: 0)

    ((service, _),) = sdk.registered
    assert os.environ.get("IVCAP_CACHE_DIR") == cache
    monkeypatch.delenv("IVCAP_CACHE_DIR", raising=False)
    assert [p.name for p in service.parameters] == [p.name for p in PARAMETERS]
    for said, meant in zip(service.parameters, PARAMETERS, strict=True):
        assert (said.type, said.description, said.optional) == (
            meant.platform_kind,
            meant.help,
            meant.optional,
        )
        assert said.default == (str(meant.default) if meant.kind == "auto" else meant.default)
        assert said.default is None or meant.kind != "bool"
        assert [o.value for o in said.options or []] == list(meant.choices)
        assert (said.options is None) is not bool(meant.choices)
        assert said.to_dict()["label"] == f"{meant.group}: {meant.name}"


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_the_sdk_is_given_the_parameters_of_a_task(
    sdk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """A service can be described for one task; what only another task uses is left out."""
    monkeypatch.setenv(ivcap_order.TASK, task)
    ivcap_order.serve(lambda values, log: 0)

    ((service, _),) = sdk.registered
    assert [p.name for p in service.parameters] == [
        p.name for p in PARAMETERS if not p.tasks or task in p.tasks
    ]


def test_an_unknown_task_is_one_line(
    sdk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the tasks, and registers nothing."""
    monkeypatch.setenv(ivcap_order.TASK, "dance")
    with pytest.raises(SystemExit) as ended:
        ivcap_order.serve(lambda values, log: 0)

    assert (ended.value.code, sdk.registered) == (2, [])
    line = (
        "E_PARAMETER TASK: there is no such task as 'dance'. Choose from classify, detect, enhance, segment\n"
    )
    assert ("", line) == capsys.readouterr()


@pytest.mark.parametrize(("given", "meant"), [(None, None), ("", None), (STORAGE, STORAGE)])
def test_the_handler_is_given_values_a_context_and_the_sdks_log(
    sdk: SimpleNamespace, tmp_path: Path, given: str | None, meant: str | None
) -> None:
    """The handler gets values by name, and our log lines go where the SDK's go."""
    got: list[Any] = []
    sdk.config.STORAGE_URL, sdk.config.CACHE_PROXY_URL = given, "http://cache.local"
    context = OrderContext(ORDER, tmp_path, tmp_path / "out", meant, "http://cache.local")
    ivcap_order.serve(lambda values, context, log: got.append((dict(values), context, log)) or 7)
    ((_, start),) = sdk.registered
    ours = logging.getLogger("quadrat")
    kept = list(ours.handlers), ours.propagate, ours.level
    log = logging.getLogger("test.sdk")
    log.addHandler(logging.NullHandler())
    try:
        status = start(SimpleNamespace(_asdict=lambda: {"model": "m"}), log)
        assert (status, got) == (7, [({"model": "m"}, context, log)])
        assert (ours.handlers, ours.propagate) == (log.handlers, False)
    finally:
        ours.handlers, ours.propagate = kept[0], kept[1]
        ours.setLevel(kept[2])


@pytest.mark.process
def test_a_data_proxy_that_never_answers_ends_the_wait() -> None:
    """The SDK asks whether the proxy is ready without a limit of time; the order ends in one line all the same."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        storage = f"http://127.0.0.1:{silent.getsockname()[1]}"
        program = "from quadrat.platforms import ivcap_order; ivcap_order.READY_S = 0.5; ivcap_order.serve(lambda *_: 0)"
        done = subprocess.run(
            [sys.executable, "-c", program, "--model", MODEL, "--image", IMAGE, "--ivcap:in-dir", ".", "--ivcap:out-dir", "."],
            env=os.environ | {"ARGO_NODE_ID": "n", "IVCAP_STORAGE_URL": storage, "IVCAP_ORDER_ID": ORDER,
                              "IVCAP_INSIDE_CONTAINER": "Yes", "IVCAP_CACHE_URL": storage},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert 5 == done.returncode, done.stderr
    assert "E_SOURCE the data proxy was not ready within 0.5 seconds" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_swapped_values_are_recognised(tmp_path: Path) -> None:
    """A folder as the model and an archive as the images: the hint is to swap them."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "model.tgz").write_bytes(b"\x1f\x8b\x08")
    context = OrderContext(ORDER, tmp_path, tmp_path / "out")
    with pytest.raises(ParameterError, match=r"model: it is not a model archive, but images is one\. Swap"):
        ivcap_order.open_store({"model": "photos", "images": "model.tgz"}, context)
