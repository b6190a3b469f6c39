"""A small HTTP server for the page, made for clients that are slow, hostile, or gone.

It runs in threads of its own, a bounded number of them; every request has a deadline; nothing is queued for anybody:
who asks gets the newest picture. Bound past the loopback it wants a token with every request.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dvsnet_jax.errors import InputError
from dvsnet_jax.serving.board import Board, Encoded

_MOST_CLIENTS = 64  # connections at once; further ones are closed at once
_ASK_WITHIN = 15.0  # seconds for a whole request to arrive, and for which an idle connection is held
_ANSWER_WITHIN = 30.0  # seconds for a client to take its answer
_LONGEST_WAIT = 5.0  # seconds that a request for a new picture may wait for it
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def parse_address(text: str) -> tuple[str, int]:
    """`[HOST:]PORT`: the host, 127.0.0.1 where none is named, and the port. Raises InputError."""
    host, _, port = text.strip().rpartition(":")
    if not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise InputError(f"--serve is {text!r}; expected [HOST:]PORT, such as 8080 or 0.0.0.0:8080")
    host = host.removeprefix("[").removesuffix("]")
    return ("127.0.0.1" if host in ("", "localhost") else host), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LiveServer:
    """Serves a board from when it is made to `close`.

    server = LiveServer(board, "127.0.0.1", 8080)
    print(server.url)
    """

    def __init__(self, board: Board, host: str, port: int, *, token: str | None = None) -> None:
        """Past the loopback there is a token, one of its own if none is given. Raises InputError where the address
        cannot be had."""
        self.token = token or (None if is_loopback(host) else secrets.token_urlsafe(24))
        try:
            self._server = _Server(board, host, port, self.token)
        except (OSError, OverflowError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"--serve {host}:{port}: cannot be listened on ({reason}); choose another port, or an address of this "
                "machine"
            ) from error
        self.port: int = self._server.server_address[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}/" + (f"?token={self.token}" if self.token else "")
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dvsnet-serve", daemon=True),
            threading.Thread(target=self._server.keep_deadlines, name="dvsnet-serve-deadlines", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stops listening and hangs up on everybody."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, board: Board, host: str, port: int, token: str | None) -> None:
        self.board, self.token, self.host = board, token, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._deadlines: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        folder = resources.files("dvsnet_jax.serving")
        self.files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the network for this machine's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            if len(self._deadlines) >= _MOST_CLIENTS:
                return False
            self._deadlines[request] = time.monotonic() + _ASK_WITHIN
        return True

    def allow(self, request: socket.socket, seconds: float) -> None:
        """A client's time from here on."""
        with self._lock:
            if request in self._deadlines:
                self._deadlines[request] = time.monotonic() + seconds

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def keep_deadlines(self) -> None:
        while not self._closed.wait(0.5):
            now = time.monotonic()
            with self._lock:
                for request in [each for each, deadline in self._deadlines.items() if deadline < now]:
                    _cut(request)

    def hang_up(self) -> None:
        self._closed.set()
        with self._lock:
            for request in self._deadlines:
                _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves in the middle is nobody's fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "dvsnet", ""
    timeout = _ASK_WITHIN
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        self.server.allow(self.connection, _ASK_WITHIN)
        super().handle_one_request()

    def do_GET(self) -> None:
        self.server.allow(self.connection, _ANSWER_WITHIN)
        try:
            address = urlsplit(self.path)
            asked = parse_qs(address.query, max_num_fields=8)
        except ValueError:
            self._tell(HTTPStatus.BAD_REQUEST)
            return
        if not self._may_see(asked):
            self._tell(HTTPStatus.FORBIDDEN)
        elif address.path == "/" and self.server.token and "token" in asked:
            # The token goes from the address into a cookie, out of histories and screenshots.
            cookie = f"{self._cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            self._answer(b"", "text/plain", HTTPStatus.SEE_OTHER, {"Location": "/", "Set-Cookie": cookie})
        elif address.path in self.server.files:
            self._answer(*self.server.files[address.path])
        elif address.path == "/state":
            self._answer(json.dumps(self.server.board.state(), allow_nan=False).encode(), "application/json")
        else:
            self._picture(address.path, asked)

    def _picture(self, path: str, asked: dict[str, list[str]]) -> None:
        kind, _, place = path.removeprefix("/").partition("/")
        known = place.isdecimal() and len(place) < 10 and place == str(int(place))
        view = self.server.board.view(int(place)) if known else None
        if view is None or kind not in ("picture", "labels"):
            self._tell(HTTPStatus.NOT_FOUND)
            return
        try:
            after, wait = int(asked.get("after", ["0"])[0]), float(asked.get("wait", ["0"])[0])
        except ValueError:
            self._tell(HTTPStatus.BAD_REQUEST)
            return
        new = view.wait(after, min(max(wait, 0.0), _LONGEST_WAIT)) if wait == wait else False
        encoded: Encoded | None = None
        if new:
            encoded = view.picture() if kind == "picture" else view.labels()
        if encoded is None:
            self._answer(b"", "text/plain", HTTPStatus.NO_CONTENT)
            return
        media = "image/jpeg" if kind == "picture" else "image/png"
        self._answer(encoded.content, media, HTTPStatus.OK, {"X-Frame": str(encoded.number)})

    @property
    def _cookie(self) -> str:
        return f"dvsnet-{self.server.server_port}"

    def _may_see(self, asked: dict[str, list[str]]) -> bool:
        token = self.server.token
        if token is None:
            # Another site's name that was made to lead here (DNS rebinding) is in this header.
            try:
                host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            except ValueError:
                return False
            return host in ("localhost", "127.0.0.1", "::1", self.server.host)
        given = [*asked.get("token", ()), self.headers.get("Authorization", "").removeprefix("Bearer ")]
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            cookie = None
        if cookie is not None:
            given.append(cookie.value)
        return any(hmac.compare_digest(one.encode("utf-8", "replace"), token.encode()) for one in given)

    def _tell(self, status: HTTPStatus) -> None:
        self._answer(f"{status.value} {status.phrase}\n".encode(), "text/plain", status)

    def _answer(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        text = kind.startswith("text/") or kind.endswith("json")
        headers = {
            "Content-Type": f"{kind}; charset=utf-8" if text else kind,
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",  # no other site shows these pictures
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **(more or {}),
        }
        if status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _cut(request: socket.socket) -> None:
    with suppress(OSError):  # it is gone already
        request.shutdown(socket.SHUT_RDWR)
