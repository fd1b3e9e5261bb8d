"""A local camera with a minimal RTSP server, which sends MPEG-TS in RTP over the control connection."""

from __future__ import annotations

import base64
import re
import struct

from tests.media.feeds import PIECE, Line

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"
WORD = "Basic " + base64.b64encode(b"admin:geheim").decode()


def serve(line: Line, ts: bytes, *, then: float = 0.0) -> None:
    """Serve one client with the right user and password: send `ts`, then nothing for `then` seconds."""
    rest = b""
    while True:
        request, rest = line.request_from(rest)
        if not request:
            return
        verb = request.split(" ", 1)[0]
        number = re.search(r"CSeq: *(\d+)", request)
        head = f"CSeq: {number[1] if number else 0}\r\nSession: 7\r\n"
        if verb != "OPTIONS" and WORD not in request:
            answer = f'RTSP/1.0 401 Unauthorized\r\n{head}WWW-Authenticate: Basic realm="camera"\r\n\r\n'
        elif verb == "DESCRIBE":
            answer = f"RTSP/1.0 200 OK\r\n{head}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
        elif verb == "SETUP":
            answer = f"RTSP/1.0 200 OK\r\n{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        else:
            answer = f"RTSP/1.0 200 OK\r\n{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"
        line.send(answer.encode())
        if verb == "PLAY":
            break
    for count, begin in enumerate(range(0, len(ts), PIECE)):
        load = ts[begin : begin + PIECE]
        packet = struct.pack(">BBHII", 0x80, 33, count & 0xFFFF, count * 900, 7) + load
        line.send(b"$\0" + struct.pack(">H", len(packet)) + packet)
    if then:
        line.wait(then)
