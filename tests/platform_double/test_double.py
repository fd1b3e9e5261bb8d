"""The double answers the platform's own SDK as the platform does, so that what passes here means something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.platform_double.proxy import DataProxy
from tests.service.run import ROOT, TINY

ORDER = "urn:ivcap:order:00000000-1111-2222-3333-444444444444"
SDK_SERVICE = """
import ivcap_sdk_service as sdk

FEW = {"$schema": "urn:example:few.1", "cover": 0.5, "name": "sand"}
MANY = {"$schema": "urn:example:many.1", "order": "o", "a": [1, 2], "b": {"c": None}, "d": 1.5, "e": True}

def handler(args, log):
    print("MODEL", args.model.as_local_file())
    for item in args.images:
        path = item.as_local_file()
        print("ITEM", item.urn, open(path, "rb").read().decode())
    print("WEB", sdk.fetch_data("https://photos.example/one.jpg").as_local_file())
    sdk.publish_artifact("few", lambda f: f.write(b"few"), "image/png", metadata=FEW)
    print("MANY", sdk.publish_artifact("many", lambda f: f.write(b"many"), "image/png", metadata=MANY))
    sdk.publish_artifact("none", lambda f: None, "image/png", metadata=MANY)

words = [("model", sdk.Type.ARTIFACT), ("images", sdk.Type.COLLECTION)]
parameters = [sdk.Parameter(name, kind, description="x") for name, kind in words]
sdk.register_service(sdk.Service(name="x", parameters=parameters), handler)
"""


@pytest.mark.process
@pytest.mark.parametrize("way", ["environment", "direct"])
def test_the_sdk_runs_an_order_through_it(double: DataProxy, tmp_path: Path, way: str) -> None:
    """Readiness, artifacts, queue, web and posts: each request of the SDK is met, in the order it is known to have."""
    model = double.add(b"model")
    items = [double.add(body) for body in (b"one", b"two")]
    double.add(b"web", web="https://photos.example/one.jpg")
    queue = double.queue(items, ("url", "urn"))
    folders = {f"IVCAP_{name}_DIR": str(tmp_path) for name in ("IN", "OUT", "CACHE")}
    outside = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    variables = getattr(double, way)(ORDER) | folders | {"ARGO_NODE_ID": "node-1", "TMPDIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", SDK_SERVICE, "--model", model.urn, "--images", queue.urn],
        env=outside | variables, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("ITEM")] == [
        f"ITEM {items[0].urn} one",
        f"ITEM {items[1].urn} two",
    ]
    for_one = [("queue", "GET"), ("artifact", "HEAD"), ("artifact", "GET"), ("queue", "DELETE")]
    assert [(r.kind, r.method) for r in double.requests] == [
        ("ready", "HEAD"), ("artifact", "GET"), *for_one, *for_one, ("queue", "GET"), ("cache", "GET"),
        ("product", "POST"), ("product", "POST"), ("metadata", "POST"), ("product", "POST"), ("metadata", "POST"),
    ]  # fmt: skip
    assert all(r.status < 400 for r in double.requests)
    assert (len(queue.acked), queue.unacked) == (2, {})
    made = double.delivered()
    assert [(p.name, p.body) for p in made.values()] == [("few", b"few"), ("many", b"many"), ("none", b"")]
    assert made["few"].metadata == [{"$schema": "urn:example:few.1", "cover": "0.5", "name": "sand"}]
    assert made["many"].metadata[0]["b"] == {"c": None}
    assert f"MANY {made['many'].urn}" in done.stdout


def test_what_it_refuses(double: DataProxy) -> None:
    """Unknown artifacts, queues, tokens and entities, wrong verbs, and metadata that is no strict JSON are refused."""
    photo = double.add(b"photo")
    queue = double.queue([photo])
    made = requests.post(double.url, data=b"x", headers={"X-Name": "x"}, timeout=5).json()["id"]

    def status(method: str, path: str, body: bytes = b"", **headers: str) -> int:
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        return requests.request(
            method, f"{double.url}/{path}", data=body, headers=names, timeout=5
        ).status_code

    assert status("GET", "urn:ivcap:artifact:0") == 404
    assert status("GET", "cache/aHR0cDovL3g") == 404
    assert status("GET", "urn:ivcap:queue:0") == 404
    assert status("DELETE", queue.urn, b"no-such-token") == 404
    assert status("PUT", photo.urn) == 405
    assert status("POST", "", b"{}", X_Meta_Data_For_Entity="urn:ivcap:artifact:0") == 400
    assert status("POST", "", b'{"a": NaN}', X_Meta_Data_For_Entity=made) == 400
    assert status("POST", "", b'{"a": 1}', X_Meta_Data_For_Entity=made) == 200
    assert double.products[made].metadata == [{"a": 1}]


def test_what_is_not_acknowledged_comes_again(double: DataProxy) -> None:
    """Items given and not acknowledged come back first and in their order, with new tokens."""
    items = [double.add(bytes([n])) for n in range(3)]
    queue = double.queue(items, ("urn",))

    def take() -> tuple[str, str]:
        reply = requests.get(f"{double.url}/{queue.urn}", allow_redirects=False, timeout=5)
        return reply.headers["Location"], reply.headers["X-Ack-Token"]

    first, second = take(), take()
    queue.redeliver()
    again = [take(), take(), take()]

    assert [urn for urn, _ in again] == [i.urn for i in items] == [first[0], second[0], items[2].urn]
    assert len({token for _, token in [first, second, *again]}) == 5
    assert requests.get(f"{double.url}/{queue.urn}", timeout=5).status_code == 204


@pytest.mark.process
def test_the_command_runs_an_order(tmp_path: Path) -> None:
    """`run_order` measures a folder through the double, writes products with metadata, and lists them."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.platform_double.run_order", "--model", str(TINY), "--images",
            str(ROOT / "examples" / "images" / "site-a"), "--out", str(tmp_path / "out"), "--max-img-size", "0.01MP",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert len(names) == 12
    assert {f"{n}-meta.json" for n in names if not n.endswith("-meta.json")} < names
    assert json.loads((tmp_path / "out" / "survey.csv-meta.json").read_text())["measured"] == 2
    assert "acknowledged 2 images, 0 left; 0 temporary files left" in done.stdout


@pytest.mark.process
def test_the_command_runs_an_order_of_videos(tmp_path: Path) -> None:
    """`run_order` does so with a queue of videos too: each is acknowledged, and no copy is left."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.platform_double.run_order", "--model", str(ROOT / "examples/models/rectangles.tgz"),
            "--videos", str(ROOT / "examples" / "videos"), "--out", str(tmp_path / "out"), "--frame-step", "15",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 2
    assert json.loads((tmp_path / "out" / "survey.csv-meta.json").read_text())["measured"] == 2
    assert "acknowledged 2 videos, 0 left; 0 temporary files left" in done.stdout


@pytest.mark.process
def test_the_command_fails_with_the_service(tmp_path: Path) -> None:
    """`run_order` gives the service's own exit status."""
    (tmp_path / "bad.tgz").write_bytes(b"no archive")
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.platform_double.run_order", "--model", str(tmp_path / "bad.tgz"), "--images",
            str(ROOT / "examples" / "images" / "site-a"), "--out", str(tmp_path / "out"),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 3, done.stdout
    assert "acknowledged 0 images, 2 left" in done.stdout
