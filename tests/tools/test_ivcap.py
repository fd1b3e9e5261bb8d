"""tools/ivcap.py uses the commands that the platform's CLI still has, and logs which."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import yaml

from tests.tools.cli import ACCOUNT, GENERATIONS, stand_in
from tests.tools.rest import platform

ROOT = Path(__file__).resolve().parents[2]
URN = "urn:ivcap:service:6f0d1b1c-3a8c-5a3e-9d5a-0d8d4b1f2a3b"
ORDER = ["model=urn:ivcap:artifact:m", "images=urn:ivcap:collection:i", "batch-size=2"]
DESCRIPTION = """
"id": "urn:x"
"provider-id": "@PROVIDER_ID@"
"name": "infer"
"description": "Measures."
"parameters":
- "name": "model"
  "type": "artifact"
  "description": "Archive."
  "optional": !!bool "false"
"workflow":
  "type": "basic"
  "basic": {"image": "host/infer:abc", "command": ["python", "/app/service.py"]}
"""


@pytest.fixture(scope="module")
def ivcap():
    """Import the script as a module."""
    spec = importlib.util.spec_from_file_location("ivcap_tool", ROOT / "tools" / "ivcap.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["ivcap_tool"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ivcap_tool"]


@pytest.mark.parametrize(
    ("generation", "wanted"),
    [
        ("v0.41.7", (True, True, False)),
        ("unversioned old", (True, True, False)),
        ("v0.45.0", (False, True, True)),
        ("v0.47.4", (False, False, False)),
        ("talkative v0.48.0", (False, False, False)),
        ("unversioned new", (False, False, False)),
    ],
)
def test_probe(ivcap, tmp_path, generation, wanted):
    """The help texts and version of each CLI generation determine the routes."""
    routes = ivcap.probe(ivcap.Cli(str(stand_in(tmp_path, generation).path)))
    assert (routes.register, routes.order, routes.skip_check) == wanted


def test_a_version_is_believed_over_the_help(ivcap, tmp_path, monkeypatch):
    """A newer CLI does not get the v1 description, whatever commands its help lists."""
    monkeypatch.setitem(GENERATIONS, "v0.41.8", {"order", "service"})
    assert not ivcap.probe(ivcap.Cli(str(stand_in(tmp_path, "v0.41.8").path))).register


def test_register_by_the_cli(ivcap, tmp_path, capsys):
    """The old CLI gets the SDK's YAML on its standard input."""
    program = stand_in(tmp_path, "v0.41.7")
    assert "done" in ivcap.register(ivcap.Cli(str(program.path)), URN, DESCRIPTION)
    (call,) = program.calls("service")
    assert call["args"] == f"service update --create {URN} --format yaml -f - --timeout 600".split()
    assert call["stdin"] == DESCRIPTION
    assert "by `service update --create`" in capsys.readouterr().err


@pytest.mark.parametrize("generation", ["v0.45.0", "v0.47.4", "unversioned new"])
def test_register_by_rest(ivcap, tmp_path, capsys, generation):
    """With a newer CLI, its address and token are used; the body holds the fields of the v1 API."""
    with platform() as server:
        program = stand_in(tmp_path, generation, url=server.url + "/")
        ivcap.register(ivcap.Cli(str(program.path)), URN, DESCRIPTION)
    (request,) = server.requests
    body = request.pop("body")
    assert request == {
        "method": "PUT", "path": f"/1/services/{URN}?force-create=true", "token": "Bearer a-token",
    }  # fmt: skip
    wanted = yaml.safe_load(DESCRIPTION)
    assert body == {k: wanted[k] for k in ("name", "description", "parameters", "workflow")}
    assert program.calls("service") == []
    assert program.calls("context", "get", "access-token")[0]["args"][-1] == "--refresh-token"
    assert "by REST, PUT /1/services" in capsys.readouterr().err


@pytest.mark.parametrize(("generation", "flags"), [("v0.41.7", []), ("v0.45.0", ["--skip-parameter-check"])])
def test_order_by_the_cli(ivcap, tmp_path, capsys, generation, flags):
    """A CLI with `order` places the order; the middle generation skips its parameter check."""
    program = stand_in(tmp_path, generation)
    ivcap.order(ivcap.Cli(str(program.path)), URN, ORDER)
    assert [c["args"] for c in program.calls("order")] == [["order", "create", *flags, URN, *ORDER]]
    assert "by `order create`" in capsys.readouterr().err


def test_order_by_rest(ivcap, tmp_path, capsys):
    """With a CLI without `order`, the order is posted, with parameters as names and values."""
    with platform() as server:
        program = stand_in(tmp_path, "v0.47.4", url=server.url)
        reply = ivcap.order(ivcap.Cli(str(program.path)), URN, ORDER)
    (request,) = server.requests
    assert (request["method"], request["path"]) == ("POST", "/1/orders")
    pairs = [dict(zip(("name", "value"), p.split("=", 1), strict=True)) for p in ORDER]
    assert request["body"] == {"service": URN, "parameters": pairs}
    assert "urn:ivcap:order:1" in reply
    assert "by REST, POST /1/orders" in capsys.readouterr().err


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusal_is_reported(ivcap, tmp_path, status):
    """An error of the platform is reported with its status."""
    with platform() as server:
        server.status = status
        program = stand_in(tmp_path, "v0.47.4", url=server.url)
        with pytest.raises(ivcap.PlatformError, match=f"POST .* failed with status {status}"):
            ivcap.order(ivcap.Cli(str(program.path)), URN, ORDER)


def test_a_redirect_is_not_followed(ivcap, tmp_path):
    """The token is sent to no other host, and a PUT never becomes a GET."""
    with platform() as server, platform() as other:
        server.status, server.location = 302, other.url + "/1/orders"
        program = stand_in(tmp_path, "v0.47.4", url=server.url)
        with pytest.raises(ivcap.PlatformError, match="302"):
            ivcap.order(ivcap.Cli(str(program.path)), URN, ORDER)
    assert other.requests == []


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"access_token": "NOT AUTHORISED", "url": "http://127.0.0.1:1"}, "not logged in"),
        ({"access_token": "", "url": "http://127.0.0.1:1"}, "not logged in"),
        ({"url": "127.0.0.1"}, "no usable address"),
        ({"url": "http://127.0.0.1:1"}, "failed: "),
    ],
)
def test_no_platform(ivcap, tmp_path, context, text):
    """A CLI that is not logged in, has no address, or whose platform is unreachable is an error."""
    program = stand_in(tmp_path, "v0.47.4", **context)
    with pytest.raises(ivcap.PlatformError, match=text):
        ivcap.order(ivcap.Cli(str(program.path)), URN, ORDER)


def test_a_failing_cli_is_reported(ivcap, tmp_path):
    """The CLI's error message is passed on."""
    program = stand_in(tmp_path, "v0.41.7", broken="yes")
    with pytest.raises(ivcap.PlatformError, match="403 not for you"):
        ivcap.register(ivcap.Cli(str(program.path)), URN, DESCRIPTION)


@pytest.mark.parametrize(
    "parameters",
    [
        [],
        ["model=m"],
        ["images=i"],
        ["model=m", "images=i", "image=j"],
        ["model=m", "images"],
        ["model=", "images=i"],
    ],
)
def test_an_order_needs_a_model_and_images(ivcap, tmp_path, parameters):
    """An order that the service would refuse is not placed."""
    program = stand_in(tmp_path, "v0.41.7")
    with pytest.raises(ivcap.PlatformError):
        ivcap.order(ivcap.Cli(str(program.path)), URN, parameters)
    assert program.calls("order") == []


def test_service_urn(ivcap, tmp_path):
    """The URN is derived from name and account, in the platform's format; a given one is kept."""
    cli = ivcap.Cli(str(stand_in(tmp_path, "v0.41.7").path))
    made = ivcap.service_urn(cli, "", "infer")
    assert made == ivcap.service_id("infer", ACCOUNT) == ivcap.service_urn(cli, "", "infer")
    assert made != ivcap.service_id("infer", "another")
    assert len(made) == len("urn:ivcap:service:") + 36
    assert ivcap.service_urn(cli, URN, "infer") == URN
    nobody = ivcap.Cli(str(stand_in(tmp_path, "v0.41.7", account_id="").path))
    with pytest.raises(ivcap.PlatformError, match="log in"):
        ivcap.service_urn(nobody, "", "infer")


def test_describe_without_a_cli(ivcap, tmp_path, capsys, monkeypatch):
    """Without a CLI, the description is printed with its placeholders, which is logged."""
    service = tmp_path / "service.py"
    service.write_text(
        "import os\nprint({k: os.environ.get(k) for k in ('IVCAP_SERVICE_ID', 'IVCAP_CONTAINER')})\n"
    )
    monkeypatch.setattr(ivcap, "SERVICE_FILE", service)
    monkeypatch.delenv("IVCAP_SERVICE_ID", raising=False)
    assert ivcap.main(["--cli", "no-such-program", "--name", "infer", "describe", "--image", "i:1"]) == 0
    text = capsys.readouterr()
    assert text.out.strip() == "{'IVCAP_SERVICE_ID': None, 'IVCAP_CONTAINER': 'i:1'}"
    assert "SERVICE_ID is left as a placeholder: cannot run no-such-program" in text.err


def test_the_description_of_an_unknown_task_is_refused(ivcap, capsys):
    """One line that names the tasks."""
    words = ["--cli", "no-such-program", "--name", "infer", "describe", "--image", "i:1", "--task", "dance"]
    assert ivcap.main(words) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(
        "E_PARAMETER TASK: there is no such task as 'dance'. Choose from classify, detect, enhance, segment"
    )


def test_register_without_a_cli(ivcap, capsys):
    """Without a CLI to log in with, registration prints one line and returns status 1."""
    assert ivcap.main(["--cli", "no-such-program", "--name", "infer", "register", "--image", "i:1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_published_image_has_the_platforms_name(ivcap, tmp_path):
    """The full name of a published image comes from the CLI."""
    cli = ivcap.Cli(str(stand_in(tmp_path, "v0.41.7").path))
    assert ivcap.published_image(cli, "infer:abc") == "4c65b865/infer:abc"
