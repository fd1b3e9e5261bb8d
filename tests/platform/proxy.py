"""A double of the platform's data proxy on the loopback: artifacts, a queue of them, products, and faults on demand.

    HEAD /readyz                   is it up
    GET, HEAD /<urn>               an artifact
    GET, HEAD /cache/<b64>         something on the web
    GET /<queue urn>               307 with Location and X-Ack-Token, or 204
    DELETE /<queue urn>            the body is the token
    POST /                         a product, or with X-Meta-Data-For-Entity its metadata

Request lines may be in origin form (`/urn:...`) or absolute form (`http://artifact.local/urn:...`), as when it is
used as `http_proxy`. Run it by itself: python -m tests.platform.proxy --model M --images FOLDER
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from quadrat.artifacts.listing import list_images
from quadrat.types import Source

ORDER = "urn:ivcap:order:11111111-2222-3333-4444-555555555555"
QUEUE = "urn:ivcap:queue:99999999-8888-7777-6666-555555555555"


def artifact_urn(name: str) -> str:
    """Give the URN of the artifact that was uploaded under this name."""
    return f"urn:ivcap:artifact:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


@dataclass
class Fault:
    """What goes wrong: for requests of `method` whose path holds `path`, the first `times` of them.

    `act` is a status code, "truncate" (the body ends early), "drop" (no answer), "no-token", "no-location",
    "no-id", or a number of seconds to wait as a float.
    """

    method: str
    path: str
    act: int | float | str
    times: int = 1 << 30


@dataclass
class Delivered:
    """A product as it came: its headers and body, and the metadata posted for it."""

    urn: str
    name: str
    headers: dict[str, str]
    body: bytes
    metadata: list[dict[str, Any]] = field(default_factory=list)


class DataProxy:
    """The state of the double, and its server; use it as a context.

    `events` lists what was asked, in order: ("GET", urn), ("POST", name), ("META", product's name),
    ("DELETE", token). `leases` are tokens handed out and not acknowledged, with their artifact;
    `release` gives those back, as the platform does when a service died.
    """

    def __init__(self, queued_as: str = "urn", chunked: bool = False) -> None:
        self.artifacts: dict[str, bytes] = {}
        self.web: dict[str, tuple[bytes, str]] = {}
        self.waiting: deque[str] = deque()
        self.leases: dict[str, str] = {}
        self.acknowledged: list[str] = []
        self.delivered: list[Delivered] = []
        self.faults: list[Fault] = []
        self.events: list[tuple[str, str]] = []
        self.absolute: set[str] = set()
        self.queued_as = queued_as
        self.chunked = chunked
        self.lock = threading.Lock()
        self._count = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"double": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The storage URL, S."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, name: str, body: bytes, *, queued: bool = False) -> str:
        """Upload an artifact, and put it into the queue if asked; give its URN."""
        urn = artifact_urn(name)
        self.artifacts[urn] = body
        if queued:
            self.waiting.append(urn)
        return urn

    def environment(self, folder: Path) -> dict[str, str]:
        """Give the variables that the platform sets in a container, with folders below `folder`."""
        names = {"IVCAP_IN_DIR": "in", "IVCAP_OUT_DIR": "out", "IVCAP_CACHE_DIR": "cache", "TMPDIR": "tmp"}
        for below in names.values():
            (folder / below).mkdir(parents=True, exist_ok=True)
        return {
            "IVCAP_INSIDE_CONTAINER": "Yes",
            "IVCAP_STORAGE_URL": self.url,
            "IVCAP_CACHE_URL": f"{self.url}/cache",
            "IVCAP_ORDER_ID": ORDER,
            "ARGO_NODE_ID": "node-1",
            "IVCAP_DATA_PROXY_RETRIES": "2",
            "IVCAP_DATA_PROXY_DELAY": "0",
            **{variable: str(folder / below) for variable, below in names.items()},
        }

    def release(self) -> None:
        """Give back what was handed out and not acknowledged."""
        with self.lock:
            self.waiting.extend(self.leases.values())
            self.leases.clear()

    def lease(self) -> tuple[str, str] | None:
        """Hand out the next artifact of the queue with a new token."""
        with self.lock:
            if not self.waiting:
                return None
            urn = self.waiting.popleft()
            self._count += 1
            token = f"token-{self._count}"
            self.leases[token] = urn
            return urn, token

    def fault(self, method: str, path: str) -> int | float | str | None:
        """Take the fault that this request meets, if any."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fault.path in path:
                    fault.times -= 1
                    return fault.act
        return None

    def __enter__(self) -> DataProxy:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: DataProxy

    def log_message(self, *_: object) -> None:
        """Say nothing: `events` is the log."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        if parts.netloc:
            self.double.absolute.add(parts.netloc)
        path = unquote(parts.path).lstrip("/")
        body = self._body()
        act = self.double.fault(self.command, path)
        if act == "drop":
            self.close_connection = True
            return
        if isinstance(act, float):
            time.sleep(act)
        if isinstance(act, int):
            self._reply(act, b"fault")
        elif self.command == "POST":
            self._post(body, act)
        elif path.startswith("urn:ivcap:queue:"):
            self._queue(body, act)
        else:
            self._artifact(path, act)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _artifact(self, path: str, act: object) -> None:
        double, known = self.double, {}
        if path.startswith("cache/"):
            encoded = path.removeprefix("cache/")
            url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            found = double.web.get(url)
            known = {"X-Artifact-Id": found[1], "X-Cache-Id": "cache-1"} if found and found[1] else {}
            body = found[0] if found else None
        else:
            body = b"" if path == "readyz" else double.artifacts.get(path)
            known = {"X-Artifact-Id": path}
        double.events.append((self.command, path))
        if body is None:
            self._reply(404, b"not found")
        else:
            self._reply(200, body, known, truncate=act == "truncate")

    def _queue(self, body: bytes, act: object) -> None:
        double = self.double
        if self.command == "DELETE":
            token = body.decode()
            double.events.append(("DELETE", token))
            if double.leases.pop(token, None) is not None:
                double.acknowledged.append(token)
            self._reply(200)
            return
        item = double.lease()
        double.events.append(("GET", "queue" if item else "queue-empty"))
        if item is None:
            self._reply(204)
            return
        urn, token = item
        place = urn if double.queued_as == "urn" else f"{double.url}/{urn}"
        headers = {"Location": place, "X-Ack-Token": token}
        if act == "no-token":
            del headers["X-Ack-Token"]
        if act == "no-location":
            del headers["Location"]
        self._reply(307, b"", headers)

    def _post(self, body: bytes, act: object) -> None:
        double = self.double
        entity = self.headers.get("X-Meta-Data-For-Entity")
        if entity:
            (product,) = (p for p in double.delivered if p.urn == entity)
            product.metadata.append(json.loads(body))
            double.events.append(("META", product.name))
            self._reply(200)
            return
        name = self.headers.get("X-Name", "")
        double.events.append(("POST", name))
        urn = f"urn:ivcap:artifact:{uuid.uuid4()}"
        double.delivered.append(Delivered(urn, name, dict(self.headers.items()), body))
        said = b"{}" if act == "no-id" else json.dumps({"id": urn, "size": len(body)}).encode()
        self._reply(201, said, {"Location": f"{double.url}/{urn}", "Content-Type": "application/json"})

    def _reply(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, truncate: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        chunked = self.double.chunked and status != 204 and not truncate
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if truncate:
            self.close_connection = True
            body = body[: len(body) // 2]
        if chunked:
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        self.wfile.write(body)


def load(double: DataProxy, model: Path, images: Path) -> tuple[str, str]:
    """Upload a model and a folder of images, and queue these; give the URNs of model and queue."""
    urn = double.put(model.name, model.read_bytes())
    for item in list_images(images):
        if isinstance(item, Source):
            double.put(item.name, Path(item.token).read_bytes(), queued=True)
    return urn, QUEUE


def main() -> None:
    """Serve a model and images until interrupted, and say how to run the service against it."""
    parser = argparse.ArgumentParser(description="A double of the platform's data proxy")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    args = parser.parse_args()
    with DataProxy() as double:
        model, queue = load(double, args.model, args.images)
        sys.stdout.write(
            f"IVCAP_STORAGE_URL={double.url} IVCAP_CACHE_URL={double.url}/cache "
            f"python infer_service.py --model {model} --images {queue} --ivcap:order-id {ORDER}\n"
        )
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
