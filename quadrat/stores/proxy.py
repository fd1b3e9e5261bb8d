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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

import requests

from quadrat.errors import DeliveryError, SourceError, UnavailableError
from quadrat.interrupts import signals_deferred
from quadrat.stores.http import PassingFaultError, Retry, ask, download, may_pass, reason, status, was_refused

T = TypeVar("T")

RETRY_S = 300.0
"""Seconds to wait for a platform that fails in passing."""
LARGEST = 4 << 30
"""Largest artifact, in bytes."""


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One image from a queue: its URN, the URL of its bytes, and the token that acknowledges it."""

    urn: str
    url: str
    token: str


class Proxy:
    """The data proxy, by its storage URL and its cache URL.

    A request that fails in a way that may pass (no connection, too many requests, a server out of order) is repeated
    for `retry_seconds`, with growing pauses or those that the proxy asks for.
    """

    def __init__(self, storage_url: str, cache_url: str | None, retry_seconds: float = RETRY_S) -> None:
        self._storage = storage_url.rstrip("/")
        self._cache = cache_url.rstrip("/") if cache_url else None
        self._retry = Retry(retry_seconds)

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
        url = self.url(reference)
        try:
            reply = self._retry.call(lambda: ask("HEAD", url, redirects=True), may_pass)
            urn = reply.headers.get("X-Artifact-Id", "") if reply.ok else ""
        except (PassingFaultError, requests.RequestException):
            urn = ""
        below = reference.removeprefix(self._storage + "/")
        return urn or (below if below.startswith("urn:") else f"urn:{below}")

    def fetch(self, url: str, path: Path, name: str, largest: int = LARGEST) -> None:
        """Write the bytes of an artifact into `path`; SourceError if it cannot be fetched completely."""
        self._fetch(lambda: download(url, path, name, largest), name)

    def next_item(self, queue: str) -> QueueItem | None:
        """Return the next image of a queue, or None at its end; SourceError if the request fails."""
        reply = self._fetch(lambda: ask("GET", f"{self._storage}/{queue}"), queue)
        if reply.status_code == 204:
            return None
        location = reply.headers.get("Location", "")
        if reply.status_code != 307 or not location:
            raise SourceError(f"the queue responded {status(reply)} instead of an image", where=queue)
        if location.startswith("/"):
            location = urljoin(self._storage, location)
        return QueueItem(self.identify(location), self.url(location), reply.headers.get("X-Ack-Token", ""))

    def acknowledge(self, queue: str, token: str) -> None:
        """Acknowledge the image with this token to a queue; SourceError if the queue refuses."""
        reply = self._fetch(lambda: ask("DELETE", f"{self._storage}/{queue}", token.encode()), queue)
        if not reply.ok:
            raise SourceError(f"the queue responded {status(reply)} to an acknowledgement", where=queue)

    def publish(self, name: str, mime: str, body: bytes | Path, metadata: bytes, schema: str) -> str:
        """Post a product and its metadata (JSON) and return the URN of the product; DeliveryError if that fails.

        Signals wait until both are posted. A product that the proxy may have processed is not posted again, so that
        none is stored twice; its metadata is, because metadata that is stored twice says the same.
        """
        with signals_deferred() as caught:
            headers = {"Content-Type": mime, "X-Name": name}
            reply = self._post(body, headers, name, was_refused, caught)
            urn = _urn_of(reply)
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
            self._post(metadata, headers, f"metadata of {name} ({urn})", may_pass, caught)
        return urn

    def _fetch(self, act: Callable[[], T], name: str) -> T:
        """Make a request; UnavailableError if its fault does not pass, SourceError if it cannot succeed."""
        try:
            return self._retry.call(act, may_pass)
        except (PassingFaultError, requests.RequestException) as error:
            kind = UnavailableError if may_pass(error) else SourceError
            raise kind(f"the data proxy does not return it ({reason(error)})", where=name) from error

    def _post(
        self,
        body: bytes | Path,
        headers: Mapping[str, str],
        name: str,
        passing: Callable[[Exception], bool],
        caught: Sequence[int],
    ) -> requests.Response:
        """Post a body; a signal that is `caught` meanwhile ends the wait for a proxy that does not work."""
        try:
            reply = self._retry.call(
                lambda: ask("POST", self._storage, body, headers), passing, lambda: bool(caught)
            )
        except (PassingFaultError, requests.RequestException) as error:
            raise DeliveryError(
                f"the data proxy does not accept it ({reason(error)})",
                where=name,
                hint="Place the order again when the platform works",
            ) from error
        except OSError as error:
            raise DeliveryError(f"it cannot be read ({error.strerror})", where=name) from error
        if not 200 <= reply.status_code < 300:
            raise DeliveryError(f"the data proxy responded {status(reply)}", where=name)
        return reply


def _urn_of(reply: requests.Response) -> str:
    """Return the URN of a product that was posted; "" if the response does not give it."""
    try:
        return str(reply.json()["id"] or reply.headers.get("X-Artifact-Id", ""))
    except (ValueError, KeyError, TypeError):
        return reply.headers.get("X-Artifact-Id", "")
