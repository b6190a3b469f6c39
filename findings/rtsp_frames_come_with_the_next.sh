#!/usr/bin/env bash
# RTSP marks the last packet of each picture, and FFmpeg's H.264 parser waits for the next picture all the same: each is given when
# the one after it begins, a frame time late, and the last one before a silence when the reader's patience ends. The very first one
# comes without a presentation time, whatever RTP says, and the others with theirs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import base64
import re
import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
FRAMES, STEP, PATIENCE = 10, 0.25, 3.0

encoder = av.CodecContext.create("libx264", "w")
encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 96, 64, "yuv420p", Fraction(1, 4)
encoder.options = {"tune": "zerolatency", "x264-params": "threads=1:sliced-threads=0"}
frames = []
for number in range(FRAMES):
    picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 * number, np.uint8), format="rgb24")
    picture.pts = number
    [packet] = encoder.encode(picture)
    frames.append([unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit])
assert max(len(unit) for frame in frames for unit in frame) < 1400  # a packet each
sets = [base64.b64encode(unit).decode() for unit in frames[0] if unit[0] & 31 in (7, 8)]
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=framerate:4\r\na=control:track0\r\n"
    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(sets)}\r\n"
)
sent = []


def play(connection):
    count = 0
    for number, units in enumerate(frames):
        sent.append(time.monotonic())
        for unit in units:
            last = 0x80 if unit is units[-1] else 0  # the marker: this picture is whole
            head = struct.pack(">BBHII", 0x80, 96 | last, count, 1_000_000 + int(number * STEP * 90000), 7)
            connection.sendall(struct.pack(">cBH", b"$", 0, len(head + unit)) + head + unit)
            count += 1
        time.sleep(STEP)


def serve():
    connection, _ = server.accept()
    lines = connection.makefile("rb")
    while request := lines.readline().decode():
        headers = {}
        while line := lines.readline().decode().strip():
            name, _, headers[name.lower()] = line.partition(": ")
        method, extra, body = request.split()[0], "Session: 1\r\n", ""
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            extra, body = "Content-Type: application/sdp\r\n", SDP
        elif method == "SETUP":
            extra += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        connection.sendall(answer.encode())
        if method == "PLAY":
            threading.Thread(target=play, args=[connection], daemon=True).start()


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, daemon=True).start()
options = {"rtsp_transport": "tcp", "fpsprobesize": "0", "analyzeduration": "500000"}
came = []
with av.open(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", options=options, timeout=PATIENCE) as container:
    for packet in container.demux(video=0):
        came.append((time.monotonic(), packet.pts))
        if len(came) == FRAMES:
            break
late = [round(at - when, 2) for (at, _), when in zip(came, sent)]
print("times:", [pts for _, pts in came])
print(f"seconds from sending each (one every {STEP:g}) to having it:", late)
assert [pts for _, pts in came][:3] == [None, 22500, 45000]
assert all(at > next_sent for (at, _), next_sent in zip(came, sent[1:])) and late[-2] < 2 * STEP
assert late[-1] > 0.8 * PATIENCE
PYTHON
