"""A client of the platform's data proxy: fetches and publishes artifacts, and reads queues of them.

    GET S/<urn>          the bytes of an artifact          S = storage URL, C = cache URL
    HEAD, GET C/<b64>    a web resource, through the cache
    GET S/<queue>        307 with Location and X-Ack-Token, or 204 at the end; DELETE with the token acknowledges
    POST S               a product; then its metadata, marked by X-Meta-Data-For-Entity

The requests are the same as the SDK's, header for header. They are made here because the SDK acknowledges an image
before its products are delivered, exits at the first unexpected response, and never retries.
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
"""Seconds to connect, and between two pieces of a response."""
LONGEST_S = 1800.0
"""Seconds that fetching one artifact may take in total."""
PAUSES_S = (0.25, 0.5, 1.0)
"""Seconds to wait before each retry."""
LARGEST = 4 << 30
"""Largest artifact, in bytes."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One image from a queue: its URN, the URL of its bytes, and the token that acknowledges it."""

    urn: str
    url: str
    token: str


class _Retry(Exception):  # noqa: N818 - not an error but a reason to wait
    """The request may succeed in a moment."""


class Proxy:
    """The data proxy, by its storage URL and its cache URL."""

    def __init__(self, storage_url: str, cache_url: str | None) -> None:
        self._storage = storage_url.rstrip("/")
        self._cache = cache_url.rstrip("/") if cache_url else None

    def url(self, reference: str) -> str:
        """Return the URL from which to fetch an artifact URN, a URL, or a URL written as `urn:https://...`."""
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
        """Return the URN of an artifact: as the proxy reports it, or else from its own address."""
        if reference.startswith("urn:ivcap:"):
            return reference
        try:
            reply = requests.head(self.url(reference), timeout=TIMEOUT_S, allow_redirects=True)
            urn = reply.headers.get("X-Artifact-Id", "") if reply.ok else ""
        except requests.RequestException:
            urn = ""
        below = reference.removeprefix(self._storage + "/")
        return urn or (below if below.startswith("urn:") else f"urn:{below}")

    def fetch(self, url: str, path: Path, name: str, largest: int = LARGEST) -> None:
        """Write the bytes of an artifact into `path`; SourceError if it cannot be fetched completely."""
        _fetch_with_retries(lambda: _download(url, path, name, largest), name)

    def next_item(self, queue: str) -> QueueItem | None:
        """Return the next image of a queue, or None at its end; SourceError if the request fails."""
        reply = _fetch_with_retries(lambda: _ask("GET", f"{self._storage}/{queue}"), queue)
        if reply.status_code == 204:
            return None
        location = reply.headers.get("Location", "")
        if reply.status_code != 307 or not location:
            raise SourceError(f"the queue responded {_status(reply)} instead of an image", where=queue)
        if location.startswith("/"):
            location = urljoin(self._storage, location)
        return QueueItem(self.identify(location), self.url(location), reply.headers.get("X-Ack-Token", ""))

    def acknowledge(self, queue: str, token: str) -> None:
        """Acknowledge the image with this token to a queue; SourceError if the queue refuses."""
        reply = _fetch_with_retries(lambda: _ask("DELETE", f"{self._storage}/{queue}", token.encode()), queue)
        if not reply.ok:
            raise SourceError(f"the queue responded {_status(reply)} to an acknowledgement", where=queue)

    def publish(self, name: str, mime: str, body: bytes | Path, metadata: bytes, schema: str) -> str:
        """Post a product and its metadata (JSON) and return the URN of the product; DeliveryError if that fails.

        A request that the proxy refused or never received is retried; one that it may have processed is not, so that
        no product is stored twice.
        """
        reply = self._post(body, {"Content-Type": mime, "X-Name": name}, name)
        try:
            urn = str(reply.json()["id"] or reply.headers.get("X-Artifact-Id", ""))
        except (ValueError, KeyError, TypeError):
            urn = reply.headers.get("X-Artifact-Id", "")
        if not urn:
            raise DeliveryError("the data proxy accepted it without returning its URN", where=name)
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
            reply = _with_retries(lambda: _ask("POST", self._storage, body, headers), _was_refused)
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise _not_taken(error, name) from error
            raise DeliveryError(f"it cannot be read ({error.strerror})", where=name) from error
        except _Retry as error:
            raise _not_taken(error, name) from error
        if not 200 <= reply.status_code < 300:
            raise DeliveryError(f"the data proxy responded {_status(reply)}", where=name)
        return reply


def _not_taken(error: Exception, name: str) -> DeliveryError:
    return DeliveryError(
        f"the data proxy does not accept it ({_reason(error)})",
        where=name,
        hint="Place the order again when the platform works",
    )


def _fetch_with_retries(act: Callable[[], T], name: str) -> T:
    """Make a request, with retries while the proxy is temporarily unavailable; SourceError if it stays so."""
    try:
        return _with_retries(act, _may_pass)
    except (_Retry, requests.RequestException) as error:
        raise SourceError(f"the data proxy does not return it ({_reason(error)})", where=name) from error


def _with_retries(act: Callable[[], T], again: Callable[[Exception], bool]) -> T:
    """Call `act`, and retry a few times while `again` is true of its error."""
    for pause in PAUSES_S:
        try:
            return act()
        except (_Retry, requests.RequestException) as error:
            if not again(error):
                raise
            time.sleep(pause)
    return act()


def _may_pass(error: Exception) -> bool:
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, (_Retry, *passing))


def _was_refused(error: Exception) -> bool:
    """Return True if the proxy refused or was never reached; a connection lost later leaves that open."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    first = getattr(reason, "original_error", reason)  # through an HTTP proxy
    return isinstance(error, _Retry) or isinstance(first, (ConnectTimeoutError, NewConnectionError))


def _ask(
    method: str, url: str, body: bytes | Path | None = None, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Make one request; if the body is a file, stream it from its beginning."""
    with ExitStack() as stack:
        data = stack.enter_context(body.open("rb")) if isinstance(body, Path) else body
        reply = requests.request(
            method, url, data=data, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
    if reply.status_code >= 500:
        raise _Retry(_status(reply))
    return reply


def _download(url: str, path: Path, name: str, largest: int) -> None:
    deadline = time.monotonic() + LONGEST_S
    size = 0
    with requests.get(url, stream=True, timeout=TIMEOUT_S) as reply:
        if reply.status_code >= 500:
            raise _Retry(_status(reply))
        if not reply.ok:
            raise SourceError(f"the data proxy responded {_status(reply)}", where=name)
        with path.open("wb") as file:
            for piece in reply.iter_content(PIECE):
                size += len(piece)
                if size > largest:
                    raise SourceError(f"it is larger than {largest} bytes", where=name)
                if time.monotonic() > deadline:
                    raise SourceError(f"fetching it took more than {LONGEST_S:g} seconds", where=name)
                file.write(piece)


def _status(reply: requests.Response) -> str:
    return f"{reply.status_code} {reply.reason}".strip()


def _reason(error: Exception) -> str:
    """Return a short description of a library's error."""
    if isinstance(error, _Retry):
        return str(error)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it ended early"
    if isinstance(error, requests.Timeout):
        return "no response in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
