"""The platform's data proxy as seen from the service: fetching artifacts and reading a queue of them.

    GET S/<urn>          an artifact's bytes               S = storage URL, C = cache URL
    HEAD, GET C/<b64>    something on the web, through the cache
    GET S/<queue>        307 with Location and X-Ack-Token, or 204 at the end; DELETE with the token acknowledges
    POST S               a product; then its metadata, marked by X-Meta-Data-For-Entity

The requests are the SDK's own, header for header. They are made here because the SDK acknowledges an image before
its products are out, ends the process at the first answer it does not like, and never asks twice.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from quadrat.errors import DeliveryError, SourceError

T = TypeVar("T")

TIMEOUT_S = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
LONGEST_S = 1800.0
"""Seconds one artifact may take in all."""
PAUSES_S = (0.25, 0.5, 1.0)
"""Waits before asking again."""
LARGEST = 4 << 30
"""Bytes of one artifact."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One image that a queue gave: its URN, the URL of its bytes, and the token that acknowledges it."""

    urn: str
    url: str
    token: str


class _AskAgain(Exception):  # noqa: N818 - it is no error but a reason to wait
    """The proxy may answer better in a moment."""


class Proxy:
    """The two addresses of the data proxy."""

    def __init__(self, storage_url: str, cache_url: str | None) -> None:
        self._storage = storage_url.rstrip("/")
        self._cache = cache_url.rstrip("/") if cache_url else None

    def url(self, reference: str) -> str:
        """Give the address to ask for an artifact URN, a URL, or a URL written as `urn:https://...`."""
        if reference.startswith("urn:http"):
            reference = reference.removeprefix("urn:")
        if reference.startswith(self._storage + "/"):
            return reference
        if not reference.startswith(("http://", "https://")):
            return f"{self._storage}/{reference}"
        if self._cache is None:
            return reference
        encoded = base64.urlsafe_b64encode(reference.encode()).decode().rstrip("=")
        return f"{self._cache}/{encoded}"

    def identify(self, reference: str) -> str:
        """Give the URN of something: what the proxy says it is, else what its own address says."""
        if reference.startswith("urn:ivcap:"):
            return reference
        try:
            reply = requests.head(self.url(reference), timeout=TIMEOUT_S, allow_redirects=True)
            said = reply.headers.get("X-Artifact-Id", "") if reply.ok else ""
        except requests.RequestException:
            said = ""
        below = reference.removeprefix(self._storage + "/")
        return said or (below if below.startswith("urn:") else f"urn:{below}")

    def fetch(self, url: str, path: Path, name: str, largest: int = LARGEST) -> None:
        """Write an artifact's bytes into `path`; SourceError where it cannot be had whole."""
        _insist(lambda: _download(url, path, name, largest), name)

    def next_item(self, queue: str) -> QueueItem | None:
        """Ask a queue for its next image; None where it has no more; SourceError where it fails."""
        reply = _insist(lambda: _ask("GET", f"{self._storage}/{queue}"), queue)
        if reply.status_code == 204:
            return None
        location = reply.headers.get("Location", "")
        if reply.status_code != 307 or not location:
            raise SourceError(f"the queue answered {_status(reply)} in place of an image", where=queue)
        if location.startswith("/"):
            location = urljoin(self._storage, location)
        return QueueItem(self.identify(location), self.url(location), reply.headers.get("X-Ack-Token", ""))

    def acknowledge(self, queue: str, token: str) -> None:
        """Tell a queue that the image of this token is done; SourceError where it does not take it."""
        reply = _insist(lambda: _ask("DELETE", f"{self._storage}/{queue}", token.encode()), queue)
        if not reply.ok:
            raise SourceError(f"the queue answered {_status(reply)} to an acknowledgement", where=queue)

    def publish(self, name: str, mime: str, body: bytes | Path, metadata: bytes, schema: str) -> str:
        """Post a product and its metadata (JSON) and return the product's URN; DeliveryError if it cannot.

        A post that the proxy refused or never got is made again; one that it may have taken is not, so
        that no product is there twice.
        """
        reply = self._post(body, {"Content-Type": mime, "X-Name": name}, name)
        try:
            urn = str(reply.json()["id"] or reply.headers.get("X-Artifact-Id", ""))
        except (ValueError, KeyError, TypeError):
            urn = reply.headers.get("X-Artifact-Id", "")
        if not urn:
            raise DeliveryError("the data proxy took it and did not say its URN", where=name)
        headers = {
            "Content-Type": "application/json",
            "X-Meta-Data-For-Entity": urn,
            "X-Meta-Data-For-Artifact": urn,
            "X-Meta-Data-Schema": schema,
        }
        if location := reply.headers.get("Location"):
            headers["X-Meta-Data-For-Url"] = location
        self._post(metadata, headers, f"metadata of {name}")
        return urn

    def _post(self, body: bytes | Path, headers: Mapping[str, str], name: str) -> requests.Response:
        try:
            reply = _persist(lambda: _ask("POST", self._storage, body, headers), _was_refused)
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise _not_taken(error, name) from error
            raise DeliveryError(f"it cannot be read ({error.strerror})", where=name) from error
        except _AskAgain as error:
            raise _not_taken(error, name) from error
        if not 200 <= reply.status_code < 300:
            raise DeliveryError(f"the data proxy answered {_status(reply)}", where=name)
        return reply


def _not_taken(error: Exception, name: str) -> DeliveryError:
    return DeliveryError(
        f"the data proxy does not take it ({_reason(error)})",
        where=name,
        hint="Order again once the platform is well",
    )


def _insist(act: Callable[[], T], name: str) -> T:
    """Ask for something, a few times where the proxy is out for a moment; SourceError when it stays so."""
    try:
        return _persist(act, _may_pass)
    except (_AskAgain, requests.RequestException) as error:
        raise SourceError(f"the data proxy does not give it ({_reason(error)})", where=name) from error


def _persist(act: Callable[[], T], again: Callable[[Exception], bool]) -> T:
    """Do something, and a few times more while it raises what is worth it."""
    for pause in PAUSES_S:
        try:
            return act()
        except (_AskAgain, requests.RequestException) as error:
            if not again(error):
                raise
            time.sleep(pause)
    return act()


def _may_pass(error: Exception) -> bool:
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, (_AskAgain, *passing))


def _was_refused(error: Exception) -> bool:
    """Whether the other side said no, or was never reached; a line cut later leaves that open."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    first = getattr(reason, "original_error", reason)  # where a proxy was asked in between
    return isinstance(error, _AskAgain) or isinstance(first, (ConnectTimeoutError, NewConnectionError))


def _ask(
    method: str, url: str, body: bytes | Path | None = None, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Make one request; a file as the body is read from its begin, piece by piece."""
    with ExitStack() as stack:
        data = stack.enter_context(body.open("rb")) if isinstance(body, Path) else body
        reply = requests.request(
            method, url, data=data, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
    if reply.status_code >= 500:
        raise _AskAgain(_status(reply))
    return reply


def _download(url: str, path: Path, name: str, largest: int) -> None:
    deadline = time.monotonic() + LONGEST_S
    size = 0
    with requests.get(url, stream=True, timeout=TIMEOUT_S) as reply:
        if reply.status_code >= 500:
            raise _AskAgain(_status(reply))
        if not reply.ok:
            raise SourceError(f"the data proxy answered {_status(reply)}", where=name)
        with path.open("wb") as file:
            for piece in reply.iter_content(PIECE):
                size += len(piece)
                if size > largest:
                    raise SourceError(f"it is larger than {largest} bytes", where=name)
                if time.monotonic() > deadline:
                    raise SourceError(f"it took more than {LONGEST_S:g} seconds to fetch", where=name)
                file.write(piece)


def _status(reply: requests.Response) -> str:
    return f"{reply.status_code} {reply.reason}".strip()


def _reason(error: Exception) -> str:
    """Say in a few words what a library says in many."""
    if isinstance(error, _AskAgain):
        return str(error)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it ended early"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
