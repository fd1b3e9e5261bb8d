"""HTTP requests that end: each has a deadline for the whole, and passing faults are waited out for a while."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError

from quadrat.errors import SourceError

T = TypeVar("T")

TIMEOUT_S = (10.0, 60.0)
"""Seconds to connect, and between two pieces of a response."""
CALL_S = 120.0
"""Seconds that a request without a large body may take in total."""
LONGEST_S = 1800.0
"""Seconds that sending or fetching one artifact may take in total."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 30.0
"""Seconds before the first retry, which double with each retry up to the longest."""
LOOK_S = 0.25
"""Seconds between two looks at whether to stop waiting."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
"""Statuses of a server that may work again in a moment."""
PIECE = 1 << 20
GZIP = zlib.MAX_WBITS | 16
"""The window of zlib for gzip."""
TAR = slice(257, 262), b"ustar"
"""Where a tar file is marked, and how."""


class PassingFaultError(Exception):
    """A request failed in a way that may pass; `after_s` is the pause that the server asked for, or 0."""

    def __init__(self, what: str, after_s: float = 0.0) -> None:
        super().__init__(what)
        self.after_s = after_s


class Retry:
    """Repeats requests whose faults may pass, each for at most `seconds`.

    A server that answers nothing is waited for once, not once for each artifact: the time begins anew only when a
    request succeeds.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._failing_since: float | None = None

    def call(
        self,
        act: Callable[[], T],
        passing: Callable[[Exception], bool],
        hurried: Callable[[], bool] = lambda: False,
    ) -> T:
        """Call `act` until it succeeds, its error is not `passing`, or the time is over; raise its last error.

        `hurried` ends the wait early.
        """
        pause, begin = FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                result = act()
            except (PassingFaultError, requests.RequestException) as error:
                if not passing(error):
                    raise
                asked = error.after_s if isinstance(error, PassingFaultError) else 0.0
                if not self._wait(max(pause, asked), begin, hurried):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                with self._lock:
                    self._failing_since = None
                return result

    def _wait(self, pause: float, begin: float, hurried: Callable[[], bool]) -> bool:
        """Wait for a pause, and return True; False at once if the time would be over, or early if hurried."""
        with self._lock:
            if self._failing_since is None:
                self._failing_since = begin
            since = min(begin, self._failing_since)
        if time.monotonic() + pause > since + self._seconds:
            return False
        end = time.monotonic() + pause
        while (left := end - time.monotonic()) > 0:
            if hurried():
                return False
            time.sleep(min(left, LOOK_S))
        return True


def may_pass(error: Exception) -> bool:
    """Return True if a request that changes nothing is worth repeating."""
    passing = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, (PassingFaultError, *passing))


def was_refused(error: Exception) -> bool:
    """Return True if the server refused or was never reached; a connection lost later leaves that open."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    first = getattr(reason, "original_error", reason)  # through an HTTP proxy
    return isinstance(error, PassingFaultError) or isinstance(
        first, (ConnectTimeoutError, NewConnectionError)
    )


def ask(
    method: str,
    url: str,
    body: bytes | Path | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    redirects: bool = False,
) -> requests.Response:
    """Make one request; if the body is a file, stream it from its beginning.

    Raises PassingFaultError for a status that may pass, and the errors of requests.
    """

    def act() -> requests.Response:
        with ExitStack() as stack:
            data = stack.enter_context(body.open("rb")) if isinstance(body, Path) else body
            return requests.request(
                method, url, data=data, headers=headers, timeout=TIMEOUT_S, allow_redirects=redirects
            )

    reply = within(LONGEST_S if isinstance(body, Path) else CALL_S, act)
    _check_passing(reply)
    return reply


def download(url: str, path: Path, name: str, largest: int) -> None:
    """Write the content of a URL into `path`, decoded if it was encoded for the transport.

    Raises SourceError for a refusal, a content of more than `largest` bytes or in an unknown encoding,
    PassingFaultError for a status that may pass, and the errors of requests.
    """

    def act() -> None:
        deadline = time.monotonic() + LONGEST_S
        with requests.get(url, stream=True, timeout=TIMEOUT_S) as reply:
            _check_passing(reply)
            if not reply.ok:
                raise SourceError(f"the data proxy responded {status(reply)}", where=name)
            encodings = reply.headers.get("Content-Encoding", "").lower().replace(" ", "")
            pieces = _bounded(reply.raw.stream(PIECE, decode_content=False), name, deadline)
            with path.open("wb") as file:
                try:
                    _write(_decoded(pieces, encodings, name), file, name, largest)
                except (zlib.error, EOFError) as error:
                    raise requests.exceptions.ContentDecodingError(str(error)) from error
                except ProtocolError as error:
                    raise requests.exceptions.ChunkedEncodingError(error) from error
                except HTTPError as error:
                    raise requests.Timeout(error) from error

    within(LONGEST_S + TIMEOUT_S[0], act)  # what comes later than LONGEST_S has an error of its own, above


def within(seconds: float, act: Callable[[], T]) -> T:
    """Call `act` in a thread of its own, and return its result; requests.Timeout if that takes too long.

    The libraries limit only the time between two pieces, so that a server can hold a caller endlessly with a header
    that trickles. A call that is late is left to itself.
    """
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((act(), None))
        except BaseException as error:  # noqa: BLE001  whatever it is, the caller gets it
            answers.put((None, error))

    threading.Thread(target=work, name="quadrat-http", daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise requests.Timeout(f"no complete response in {seconds:g} seconds") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only if T allows it


def status(reply: requests.Response) -> str:
    """Return the status line of a response."""
    return f"{reply.status_code} {reply.reason}".strip()


def reason(error: Exception) -> str:
    """Return a short description of a library's error."""
    if isinstance(error, PassingFaultError):
        return str(error)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "it ended early"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "its encoding is damaged"
    if isinstance(error, requests.Timeout):
        return "no response in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


def _check_passing(reply: requests.Response) -> None:
    if reply.status_code in PASSING:
        raise PassingFaultError(status(reply), _after_s(reply.headers.get("Retry-After", "")))


def _after_s(text: str) -> float:
    """Return the seconds of a Retry-After header: a number, or a date; 0 if it is neither."""
    text = text.strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _bounded(pieces: Iterator[bytes], name: str, deadline: float) -> Iterator[bytes]:
    """Yield the pieces until the deadline; SourceError after it."""
    for piece in pieces:
        if time.monotonic() > deadline:
            raise SourceError(f"fetching it took more than {LONGEST_S:g} seconds", where=name)
        yield piece


def _write(pieces: Iterator[bytes], file: BinaryIO, name: str, largest: int) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > largest:
            raise SourceError(f"it is larger than {largest} bytes", where=name)
        file.write(piece)


def _decoded(pieces: Iterator[bytes], encodings: str, name: str) -> Iterator[bytes]:
    """Decode gzip and deflate, except an archive whose server states its own compression as an encoding."""
    known = [each for each in encodings.split(",") if each not in ("", "identity")]
    if not known:
        yield from pieces
    elif known in (["gzip"], ["x-gzip"]):
        first = next(pieces, b"")
        start = zlib.decompressobj(GZIP).decompress(first, 512)
        if start[TAR[0]] == TAR[1]:
            yield first
            yield from pieces
        else:
            yield from _inflated(first, pieces, GZIP)
    elif known == ["deflate"]:
        first = next(pieces, b"")
        wrapped = first[:1] == b"\x78"  # some servers send raw deflate under this name
        yield from _inflated(first, pieces, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    else:
        hint = "Serve it without Content-Encoding"
        raise SourceError(f"its content is encoded as {encodings[:40]!r}", where=name, hint=hint)


def _inflated(first: bytes, pieces: Iterator[bytes], bits: int) -> Iterator[bytes]:
    """Inflate a stream piece by piece, so that a small one cannot become a large one in memory."""
    inflater = zlib.decompressobj(bits)
    for piece in chain((first,), pieces):
        data = piece
        while data:
            if inflater.eof:
                if bits != GZIP:
                    break
                inflater = zlib.decompressobj(bits)  # gzip may have several members
            yield inflater.decompress(data, PIECE)
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if not inflater.eof:
        raise EOFError("the compressed content ends early")
