"""A local server that records the platform's v1 requests and returns configured answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Platform:
    """The recorded requests, and the answer to send."""

    url: str = ""
    status: int = 200
    location: str = ""
    requests: list[dict] = field(default_factory=list)


@contextmanager
def platform() -> Iterator[Platform]:
    """Run the server for the duration of a with block."""
    state = Platform()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append(
                {"method": self.command, "path": self.path, "token": self.headers.get("Authorization")}
                | ({"body": json.loads(body)} if body else {})
            )
            reply = json.dumps({"id": "urn:ivcap:order:1", "status": "pending"}).encode()
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    for verb in ("GET", "PUT", "POST"):
        setattr(Handler, f"do_{verb}", Handler._answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
