"""What a data proxy holds: artifacts, queues, what was delivered, and every request in order."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Literal

from tests.waiting import LIMIT_S

Kind = Literal["ready", "queue", "artifact", "cache", "product", "metadata"]
Link = Literal["url", "urn", "web"]


@dataclass(frozen=True)
class Artifact:
    """Something to fetch; `name` is for people, `web` the address it has outside the platform."""

    urn: str
    body: bytes
    mime: str = "application/octet-stream"
    name: str = ""
    web: str = ""


@dataclass(eq=False)
class Request:
    """One request as it came; `status` 0 until it is answered, and where it is cut off."""

    number: int
    kind: Kind
    method: str
    target: str
    path: str
    headers: Message
    body: bytes
    came: float = field(default_factory=time.monotonic)
    status: int = 0
    answered: float = 0.0


@dataclass(eq=False)
class Fault:
    """Answer wrongly: with `status`, half a body or another, without a header, late, or not at all.

    `drop` hangs up, before the request was heard or after it was done; `hold` waits for `release`.

    For requests of a kind and method whose path holds `part`; `times` of them, -1 all.
    """

    kind: Kind
    status: int = 0
    truncate: bool = False
    body: bytes | None = None
    without: str = ""
    hold: bool = False
    drop: Literal["", "unheard", "heard"] = ""
    method: str = ""
    part: str = ""
    times: int = -1
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let the requests that are held go on, and those that come later."""
        self.released.set()

    def takes(self, request: Request) -> bool:
        """Whether it is this request's turn to fail; counts it."""
        fits = self.kind == request.kind and self.method in ("", request.method) and self.part in request.path
        if not fits or self.times == 0:
            return False
        self.times -= self.times > 0
        return True


@dataclass(frozen=True)
class QueueItem:
    """An artifact in a queue and how its address is written there."""

    artifact: Artifact
    link: Link = "url"


@dataclass(eq=False)
class Queue:
    """Items not given yet, given but not acknowledged (by token, oldest first), and acknowledged.

    `given_for` says for each token ever given which artifact it was for;
    `late` are with another worker, who gives them back once the queue has said for the first time that it is empty.
    """

    urn: str
    waiting: deque[QueueItem] = field(default_factory=deque)
    unacked: dict[str, QueueItem] = field(default_factory=dict)
    acked: list[str] = field(default_factory=list)
    given_for: dict[str, str] = field(default_factory=dict)
    late: deque[QueueItem] = field(default_factory=deque)
    given: int = 0

    def take(self) -> tuple[str, QueueItem] | None:
        """Give the next item and its token; None where there is none."""
        if not self.waiting:
            self.waiting, self.late = self.late, deque()
            return None
        self.given += 1
        token = f"token-{self.given}/{self.urn[-4:]}="
        self.unacked[token] = item = self.waiting.popleft()
        self.given_for[token] = item.artifact.urn
        return token, item

    def acknowledge(self, token: str) -> bool:
        """Forget an item; False where nobody has this token."""
        if self.unacked.pop(token, None) is None:
            return False
        self.acked.append(token)
        return True

    def redeliver(self) -> None:
        """Put what is not acknowledged back in front, as the platform does when a worker is gone."""
        self.waiting.extendleft(reversed(self.unacked.values()))
        self.unacked.clear()


@dataclass(frozen=True)
class Delivered:
    """A product and the metadata that was posted for it, oldest first."""

    urn: str
    name: str
    mime: str
    body: bytes
    metadata: list[dict[str, Any]]
    number: int


class State:
    """Everything behind the server; its methods may be called from any thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._answered = threading.Condition(self.lock)
        self.artifacts: dict[str, Artifact] = {}
        self.queues: dict[str, Queue] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.products: dict[str, Delivered] = {}
        self._count = 0

    def new_urn(self, kind: str) -> str:
        """Make a URN: the same ones in each run."""
        with self.lock:
            self._count += 1
            return f"urn:ivcap:{kind}:{uuid.uuid5(uuid.NAMESPACE_URL, str(self._count))}"

    def add(
        self, body: bytes, name: str = "", mime: str = "application/octet-stream", web: str = ""
    ) -> Artifact:
        """Put an artifact into the store."""
        artifact = Artifact(self.new_urn("artifact"), body, mime, name, web)
        with self.lock:
            self.artifacts[artifact.urn] = artifact
        return artifact

    def queue(self, artifacts: Sequence[Artifact], links: Sequence[Link] = ("url",)) -> Queue:
        """Make a queue of artifacts; the ways of writing their addresses take turns."""
        items = [QueueItem(a, links[i % len(links)]) for i, a in enumerate(artifacts)]
        queue = Queue(self.new_urn("queue"), deque(items))
        with self.lock:
            self.queues[queue.urn] = queue
        return queue

    def fail(self, kind: Kind, **how: Any) -> Fault:
        """Plan a fault; see Fault."""
        fault = Fault(kind, **how)
        with self.lock:
            self.faults.append(fault)
        return fault

    def by_address(self, encoded: str) -> Artifact | None:
        """Find what the cache has under a URL in base64 without padding."""
        try:
            url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except ValueError:
            return None
        return next((a for a in self.artifacts.values() if a.web and a.web == url), None)

    def take_product(self, request: Request) -> Delivered:
        """Keep a posted product; it is an artifact from now on."""
        headers = request.headers
        mime = headers.get("Content-Type", "")
        with self.lock:
            artifact = self.add(request.body, headers.get("X-Name", ""), mime)
            metadata = [inline(headers["X-Metadata"])] if "X-Metadata" in headers else []
            made = Delivered(artifact.urn, artifact.name, mime, request.body, metadata, request.number)
            self.products[made.urn] = made
            return made

    def take_metadata(self, request: Request) -> bool:
        """Keep posted metadata with its product; False for a product nobody posted, or for bad JSON."""
        entity = request.headers["X-Meta-Data-For-Entity"]
        with self.lock:
            if entity not in self.products and entity not in self.artifacts:
                return False
            try:
                aspect = json.loads(request.body, parse_constant=_refuse)
            except ValueError:
                return False
            if entity in self.products:
                self.products[entity].metadata.append(aspect)
            return True

    def seen(self, *kinds: Kind, method: str = "") -> list[Request]:
        """Give the requests of these kinds, in order."""
        with self.lock:
            return [r for r in self.requests if r.kind in kinds and method in ("", r.method)]

    def delivered(self) -> dict[str, Delivered]:
        """Give products by name, of each name the last."""
        with self.lock:
            return {p.name: p for p in self.products.values()}

    def answer(self, request: Request) -> None:
        """Note that a request is answered, and wake those who wait for it."""
        with self._answered:
            request.answered = time.monotonic()
            self._answered.notify_all()

    def wait_for(
        self, kind: Kind, count: int = 1, method: str = "", limit_s: float = LIMIT_S
    ) -> list[Request]:
        """Wait until `count` requests of a kind are answered and return them; TimeoutError if they never are."""

        def came() -> list[Request]:
            return [request for request in self.seen(kind, method=method) if request.answered]

        with self._answered:
            if not self._answered.wait_for(lambda: len(came()) >= count, limit_s):
                raise TimeoutError(f"{kind}: fewer than {count} requests in {limit_s:g} seconds")
            return came()


def inline(header: str) -> dict[str, str]:
    """Read metadata that the SDK writes into a header: `key base64(str(value)),...`."""
    return {key: base64.b64decode(value).decode() for key, value in _pairs(header)}


def _pairs(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(","):
        key, _, value = part.strip().partition(" ")
        yield key, value


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
