"""A loopback double of the platform's data proxy, as the order SDK 0.8.0 meets it in a container.

    with data_proxy() as double:
        queue = double.queue([double.add(photo)])
        subprocess.run(..., env=os.environ | double.environment(order))

    HEAD /readyz                   is it up
    GET, HEAD /<urn>               an artifact
    GET, HEAD /cache/<b64>         something on the web, by its URL in base64
    GET /<queue urn>               307 with Location and X-Ack-Token, or 204
    DELETE /<queue urn>            the body is the token
    POST /                         a product, or with X-Meta-Data-For-Entity its metadata

Request lines may be in origin form (`/urn:...`) or, as when it is named as http_proxy, in absolute form
(`http://artifact.local/urn:...`, `http://cache.local/<b64>`). See state.py for what it keeps and the faults it can be
told to have. Run it by itself: python -m tests.platform_double.proxy --model M --images FOLDER|--videos FOLDER [--port N]
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quadrat.stores.listing import list_images, list_videos
from quadrat.types import Source
from tests.platform_double.state import Artifact, Fault, Kind, Queue, Request, State
from tests.waiting import LIMIT_S

STORAGE, CACHE = "artifact.local", "cache.local"
CACHE_PATH = "/cache/"
Reply = tuple[int, Mapping[str, str], bytes]


class DataProxy(State):
    """The double; `url` is its address. With `chunked` it sends bodies in pieces, their length untold."""

    url = ""
    chunked = False

    def environment(self, order: str) -> dict[str, str]:
        """Give the variables with which the platform starts a container, the side-car as its http_proxy."""
        return {
            "IVCAP_INSIDE_CONTAINER": "Yes",
            "IVCAP_ORDER_ID": order,
            "IVCAP_STORAGE_URL": f"http://{STORAGE}",
            "IVCAP_CACHE_URL": f"http://{CACHE}",
            "http_proxy": self.url,
            "https_proxy": self.url,
        }

    def direct(self, order: str) -> dict[str, str]:
        """Give the same for a container that reaches the side-car by its own address."""
        urls = {"IVCAP_STORAGE_URL": self.url, "IVCAP_CACHE_URL": self.url + CACHE_PATH.rstrip("/")}
        return {"IVCAP_INSIDE_CONTAINER": "Yes", "IVCAP_ORDER_ID": order, **urls}


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the state; one instance for each connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    state: DataProxy

    def handle_any(self) -> None:
        """Take one request down and answer it, well or as planned."""
        state, body = self.state, self._body()
        with state.lock:
            number, path = len(state.requests), self._local()
            request = Request(number, self._kind(), self.command, self.path, path, self.headers, body)
            state.requests.append(request)
            fault = next((f for f in state.faults if f.takes(request)), None)
        if fault and fault.hold:
            fault.released.wait(LIMIT_S)
        if fault and fault.drop:
            if fault.drop == "heard":
                self._reply(request)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault and fault.status:
            self._answer(request, (fault.status, {}, b"as planned"), fault)
        else:
            self._answer(request, self._reply(request), fault)

    def _local(self) -> str:
        """Give the path without the host of an absolute request line, decoded."""
        return unquote(urlsplit(self.path).path if self.path.startswith("http") else self.path)

    def _host(self) -> str:
        return urlsplit(self.path).netloc if self.path.startswith("http") else self.headers.get("Host", "")

    def _kind(self) -> Kind:
        path = self._local()
        if self.command == "POST":
            return "metadata" if "X-Meta-Data-For-Entity" in self.headers else "product"
        if path == "/readyz":
            return "ready"
        if path.startswith(CACHE_PATH) or self._host() == CACHE:
            return "cache"
        return "queue" if ":queue:" in path else "artifact"

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _reply(self, request: Request) -> Reply:
        """Give status, headers and body of the right answer."""
        state, name = self.state, request.path.rsplit("/", 1)[-1]
        with state.lock:
            if request.kind == "ready":
                return 200, {}, b""
            if request.kind == "queue":
                return self._queue(request, state.queues.get(name))
            if request.kind == "product":
                made = state.take_product(request)
                said = {"id": made.urn, "size": len(made.body), "status": "ready"}
                return 201, {"Location": self._address(made.urn)}, json.dumps(said).encode()
            if request.kind == "metadata":
                taken = state.take_metadata(request)
                return (200, {}, b"{}") if taken else (400, {}, b"no such product, or no JSON")
            found = state.by_address(name) if request.kind == "cache" else state.artifacts.get(name)
        return self._artifact(request, found)

    def _artifact(self, request: Request, found: Artifact | None) -> Reply:
        if found is None:
            return 404, {}, b"no such artifact"
        if request.method not in ("GET", "HEAD"):
            return 405, {}, b"method not allowed"
        said = {"Content-Type": found.mime, "X-Artifact-Id": found.urn, "X-Cache-Id": found.urn[-12:]}
        return 200, said, found.body

    def _queue(self, request: Request, queue: Queue | None) -> Reply:
        if queue is None:
            return 404, {}, b"no such queue"
        if request.method == "DELETE":
            return (204 if queue.acknowledge(request.body.decode()) else 404), {}, b""
        if request.method != "GET":
            return 405, {}, b"method not allowed"
        taken = queue.take()
        if taken is None:
            return 204, {}, b""
        token, item = taken
        urn = item.artifact.urn
        location = {"url": self._address(urn), "urn": urn, "web": item.artifact.web}[item.link]
        return 307, {"Location": location, "X-Ack-Token": token}, b""

    def _address(self, urn: str) -> str:
        return f"http://{self._host()}/{urn}"

    def _answer(self, request: Request, reply: Reply, fault: Fault | None) -> None:
        request.status, headers, body = reply
        body = fault.body if fault and fault.body is not None else body
        chunked = self.state.chunked and request.status == 200
        self.send_response(request.status)
        for name, value in headers.items():
            if fault is None or name != fault.without:
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif request.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.state.answer(request)  # before the client can know of it
        self.end_headers()
        if request.method != "HEAD" and request.status != 204:
            sent = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if chunked else body
            self.wfile.write(sent[: len(sent) // 2] if fault and fault.truncate else sent)
        self.close_connection = self.close_connection or bool(fault and fault.truncate)

    def handle(self) -> None:
        """Serve a connection; a client that hangs up is no fault of ours."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay silent; the state has every request."""


for _verb in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{_verb}", Handler.handle_any)


@contextmanager
def data_proxy(port: int = 0) -> Iterator[DataProxy]:
    """Run the double on a loopback port for the time of a with block."""
    double = DataProxy()
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"state": double}))
    server.daemon_threads = True
    server.block_on_close = False
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        for fault in double.faults:
            fault.release()
        server.shutdown()
        server.server_close()
        thread.join(10)


def load(double: DataProxy, model: Path, given: Path, *, moving: bool = False) -> tuple[Artifact, Queue]:
    """Put a model and the images (or videos) of a folder, or one, into the double, these as a queue by name."""
    listed = list_videos(given) if moving else list_images(given)
    found = [item for item in listed if isinstance(item, Source) and item.media != "sequence"]
    items = [double.add(Path(item.token).read_bytes(), item.name) for item in found]
    return double.add(model.read_bytes(), model.name), double.queue(items, ("url", "urn"))


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Let a command line name the model, and images or videos."""
    parser.add_argument("--model", type=Path, required=True, help="model archive")
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--images", type=Path, help="folder of images, or one image")
    kinds.add_argument("--videos", type=Path, help="folder of videos, or one video; no sequences")


def load_inputs(double: DataProxy, given: argparse.Namespace) -> tuple[list[str], Queue]:
    """Put what the command line names into the double; give the service's words for it, and the queue."""
    moving = given.videos is not None
    model, queue = load(double, given.model, given.videos if moving else given.images, moving=moving)
    return ["--model", model.urn, "--videos" if moving else "--images", queue.urn], queue


def main() -> int:
    """Serve a model and images until interrupted: say how to order, then every request."""
    parser = argparse.ArgumentParser(description="A double of the platform's data proxy")
    add_inputs(parser)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with data_proxy(given.port) as double:
        named, _ = load_inputs(double, given)
        variables = " ".join(f"{k}={v}" for k, v in double.direct(double.new_urn("order")).items())
        words = f"{' '.join(named)} --ivcap:in-dir . --ivcap:out-dir ."
        sys.stdout.write(f"{variables} python infer_service.py {words} --ivcap:cache-dir=\n")
        told = 0
        try:
            while True:
                for request in [r for r in double.requests[told:] if r.answered]:
                    sys.stdout.write(f"{request.status} {request.method} {request.target}\n")
                    told += 1
                sys.stdout.flush()
                time.sleep(0.2)
        except KeyboardInterrupt:
            return 0


if __name__ == "__main__":
    sys.exit(main())
