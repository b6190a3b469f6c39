"""A camera on the loopback that sends what a test tells it to: MJPEG or a transport stream over HTTP."""

from __future__ import annotations

import io
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from dvsnet_jax.media.encoded import jpeg_bytes

SIZE = (64, 96)
_HANG_UP = object()


_NOISE = np.random.default_rng(0).integers(-8, 8, (*SIZE, 1))  # as any camera's: a flat picture would be a few bytes


def grey(number: int) -> np.ndarray:
    """A picture that says its number; see `number_of`."""
    return np.repeat(8 * number + 16 + _NOISE, 3, axis=2).astype(np.uint8)


def number_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 16 - _NOISE.mean()) / 8)


def part(image: np.ndarray) -> bytes:
    """A frame as a part of MJPEG."""
    content = jpeg_bytes(image, quality=95)
    return b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(content), content)


def transport_stream(images: list[np.ndarray], *, every: int = 4) -> list[bytes]:
    """H.264 without B frames, as a camera sends it: the bytes of each frame; one key frame in `every`."""
    file, ends = io.BytesIO(), [0]
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=5, options={"g": str(every), "tune": "zerolatency", "crf": "10"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            ends.append(file.tell())
    content = file.getvalue()
    ends[-1] = len(content)
    return [content[start:end] for start, end in pairwise(ends)]


class Camera:
    """Sends to one client at a time; what is told while none is there waits for the next."""

    def __init__(self, kind: str = "multipart/x-mixed-replace; boundary=cut", whole: Path | None = None) -> None:
        self.connections = 0
        self._orders: queue.Queue = queue.Queue()
        self._gone = False
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if camera._gone:
                    return
                camera.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", kind)
                if whole:
                    self.send_header("Content-Length", str(whole.stat().st_size))
                self.end_headers()
                if whole:
                    self.wfile.write(whole.read_bytes())
                    return
                while (order := camera._orders.get()) is not _HANG_UP:
                    self.wfile.write(order)
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/yard.cam"

    def send(self, *contents: bytes) -> None:
        for content in contents:
            self._orders.put(content)

    def show(self, *numbers: int) -> None:
        """The pictures of these numbers, as MJPEG."""
        self.send(*(part(grey(number)) for number in numbers))

    def hang_up(self) -> None:
        self._orders.put(_HANG_UP)

    def switch_off(self) -> None:
        """From here on nobody is served."""
        self._gone = True
        self.hang_up()

    def close(self) -> None:
        self.switch_off()
        self._server.shutdown()
        self._server.server_close()
