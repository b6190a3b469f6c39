"""A camera's RTSP server on the loopback, which sends H.264 over the connection that it was asked on."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction

import av
import numpy as np

_BEGIN = 0xFFFF_F000  # RTP's times begin anywhere, and anew past 2³² of them


def _units(frames: np.ndarray) -> list[list[bytes]]:
    """The NAL units of each frame, a key frame in eight."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 20)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "g": "8",
        "x264-params": "threads=1:sliced-threads=0",
    }
    found = []
    for index, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = index
        [packet] = encoder.encode(picture)
        found.append([unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit])
    return found


def _packets(units: list[bytes], number: int, when: int) -> Iterator[bytes]:
    """RTP packets of one frame, the first one numbered `number`: whole units, and large ones in pieces (FU-A)."""
    pieces = []
    for unit in units:
        if len(unit) <= 1300:
            pieces.append(unit)
            continue
        body = [unit[1 + at : 1 + at + 1300] for at in range(0, len(unit) - 1, 1300)]
        for index, part in enumerate(body):
            ends = (0x80 if index == 0 else 0) | (0x40 if index == len(body) - 1 else 0)
            pieces.append(bytes([(unit[0] & 0xE0) | 28, ends | (unit[0] & 0x1F)]) + part)
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        yield struct.pack(">BBHII", 0x80, 0x60 | (0x80 if last else 0), (number + index) & 0xFFFF, when, 1) + piece


_NONCE = "5ccc069c403ebaf9"


def _answers(given: str, method: str, password: str) -> bool:
    """Whether a header has the digest (RFC 2617) of user, password, and what is asked for."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
    parts = f"admin:yard:{password}", f"{method}:{fields.get('uri')}"
    one, other = (hashlib.md5(part.encode()).hexdigest() for part in parts)
    return fields.get("response") == hashlib.md5(f"{one}:{_NONCE}:{other}".encode()).hexdigest()


@contextmanager
def camera(
    frames: np.ndarray, *, stop_after: int | None = None, udp: bool = True, password: str | None = None
) -> Iterator[str]:
    """Its address. With `udp` it takes a stream over UDP too, and never sends anything that way, as behind a firewall;
    else it refuses that. After `stop_after` frames it falls silent and keeps the connection; else it says farewell.
    With `password` it wants a digest of that and of the user "admin". What is asked for at another path is not there.
    """
    units = _units(frames)
    parameters = [unit for unit in units[0] if unit[0] & 31 in (7, 8)]
    sets = ",".join(base64.b64encode(unit).decode() for unit in parameters)
    profile = parameters[0][1:4].hex()
    sdp = (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\na=control:track0\r\n"
        f"a=fmtp:96 packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}\r\n"
    )
    ended = threading.Event()
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = "-".join(str(each.getsockname()[1]) for each in sockets)

    def serve(connection: socket.socket) -> None:
        interleaved = False
        with suppress(OSError), connection, connection.makefile("rb") as lines:  # whoever watched is gone
            while request := lines.readline().decode():
                headers = {}
                while line := lines.readline().decode().strip():
                    name, _, value = line.partition(":")
                    headers[name.lower()] = value.strip()
                (method, path), status, extra, body = request.split()[:2], "200 OK", "", ""
                if password and not _answers(headers.get("authorization", ""), method, password):
                    status, extra = "401 Unauthorized", f'WWW-Authenticate: Digest realm="yard", nonce="{_NONCE}"\r\n'
                elif not re.search(r"/cam(/track0)?/?$", path) and path != "*":
                    status = "404 Not Found"
                elif method == "OPTIONS":
                    extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                elif method == "DESCRIBE":
                    body, extra = sdp, "Content-Type: application/sdp\r\n"
                elif method == "SETUP":
                    wish = headers["transport"]
                    interleaved = "interleaved" in wish
                    if interleaved:
                        extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                    elif udp:
                        asked = re.search(r"client_port=[\d-]+", wish)
                        extra = f"Transport: RTP/AVP;unicast;{asked and asked[0]};server_port={ports}\r\nSession: 1\r\n"
                    else:
                        status = "461 Unsupported transport"
                answer = (
                    f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
                )
                connection.sendall(answer.encode())
                if method == "TEARDOWN":
                    return
                if method == "PLAY" and interleaved and status == "200 OK":
                    threading.Thread(target=send, args=[connection], daemon=True).start()

    def send(connection: socket.socket) -> None:
        number = 0
        try:
            for index, frame in enumerate(units[:stop_after]):
                for packet in _packets(frame, number, (_BEGIN + index * 4500) & 0xFFFF_FFFF):
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    number += 1
                if ended.wait(0.05):
                    return
            if stop_after is None:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # whoever watched is gone
            pass

    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam"
    finally:
        ended.set()
        for each in (server, *sockets):
            each.close()
        time.sleep(0)
