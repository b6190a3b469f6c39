"""The page's server: what it shows, whom it refuses, and that no client costs the run anything."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dvsnet_jax.cli.segmenting.live import served
from dvsnet_jax.errors import InputError
from dvsnet_jax.serving import board as boards
from dvsnet_jax.serving import server as servers
from dvsnet_jax.serving.board import Board, View
from dvsnet_jax.serving.server import LiveServer, parse_address
from dvsnet_jax.visualize import label_palette


def shown(number: int, size: tuple[int, int] = (64, 96), live: dict | None = None) -> SimpleNamespace:
    """A frame as a run hands it over: grey by its number, of one label."""
    return SimpleNamespace(
        frame=SimpleNamespace(image=np.full((*size, 3), 10 * number % 256, np.uint8)),
        labels=np.full(size, number, np.uint8),
        scores=np.array([90.0, 80.5, np.nan, 70.0], np.float32),
        segmented=np.array([True, False, False, True]),
        record={"frame": number, **({"live": live} if live else {})},
    )


@pytest.fixture
def view():
    return View("yard <b>", (2, 2), label_palette())


@pytest.fixture
def server(view):
    board = Board()
    board.add(view)
    with LiveServer(board, "127.0.0.1", 0) as server:
        yield server


def get(server, path, **headers):
    """Status, headers and content of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def test_the_page_needs_nothing_from_elsewhere(server):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        status, headers, content = get(server, path)
        assert status == 200 and headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["Cache-Control"] == "no-store"
        assert b"http:" not in content and b"https:" not in content and b"//" not in content.replace(b"  //", b"")
        assert headers["Server"].strip() == "dvsnet"


def test_numbers(server, view):
    first = json.loads(get(server, "/state")[2])["sources"][0]
    assert first == {"name": "yard <b>", "number": 0, "ended": False, "regions": [2, 2]}
    view.offer(shown(3, live={"lag": 0.5, "dropped": 2}))
    view.offer(shown(7, live={"lag": 0.25, "dropped": 3}))
    told = json.loads(get(server, "/state")[2])["sources"][0]
    assert (told["number"], told["frame"], told["share"], told["lag"], told["dropped"]) == (2, 7, 0.5, 0.25, 5)
    assert told["scores"] == [90.0, 80.5, None, 70.0] and told["segmented"] == [True, False, False, True]
    view.end()
    assert json.loads(get(server, "/state")[2])["sources"][0]["ended"]


def test_of_many_inputs_only_the_newest_keep_their_pictures(monkeypatch):
    monkeypatch.setattr(boards, "_ENDED_SHOWN", 2)
    board = Board()
    for number in range(5):
        view = board.add(View(f"{number}", (2, 2), label_palette()))
        view.offer(shown(number))
        assert view.picture()
        if number != 1:  # that one goes on
            view.end()
    board.add(View("5", (2, 2), label_palette()))
    assert [board.view(place).picture() is not None for place in range(5)] == [False, True, False, True, True]
    state = board.state()["sources"]
    assert [source["frame"] for source in state[:5]] == list(range(5)) and state[0]["ended"]
    assert board.state()["running"] == [1, 5]


def test_the_thousandth_input_has_a_picture_too(view):
    board = Board()
    for number in range(1000):
        board.add(View(f"{number}", (2, 2), label_palette()))
    board.add(view).offer(shown(1))
    with LiveServer(board, "127.0.0.1", 0) as server:
        assert get(server, "/labels/1000")[0] == get(server, "/picture/1000")[0] == 200
        assert get(server, "/picture/1001")[0] == get(server, f"/picture/{10**30}")[0] == 404


def test_frames_a_second_are_those_of_the_last_seconds(view, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(boards.time, "monotonic", lambda: now[0])
    for number in range(40):
        view.offer(shown(number))
        now[0] += 0.25
    assert view.state()["fps"] == pytest.approx(4)
    now[0] += 10  # a stream that stalls has no rate
    assert view.state()["fps"] is None and view.state()["silent"] == pytest.approx(10.25)


def test_pictures_and_labels(server, view):
    assert get(server, "/picture/0")[0] == 204
    view.offer(shown(1))
    view.offer(shown(2, size=(64, 2600)))
    status, headers, content = get(server, "/picture/0")
    assert (status, headers["Content-Type"], headers["X-Frame"]) == (200, "image/jpeg", "2")
    assert Image.open(io.BytesIO(content)).size == (867, 22)  # no wider than 1280
    assert get(server, "/picture/0?after=2")[0] == 204
    status, headers, content = get(server, "/labels/0")
    assert headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), np.full((64, 2600), 2))


def test_a_request_waits_for_the_next_frame(server, view):
    threading.Timer(0.1, lambda: view.offer(shown(1))).start()
    status, headers, _ = get(server, "/picture/0?after=0&wait=5")
    assert (status, headers["X-Frame"]) == (200, "1")


def test_of_many_clients_one_has_the_picture_drawn(server, view, monkeypatch):
    drawn = []
    monkeypatch.setattr(boards, "jpeg_bytes", lambda picture: drawn.append(picture) or b"jpeg")
    view.offer(shown(1))
    assert not drawn  # nobody looks
    threads = [threading.Thread(target=get, args=(server, "/picture/0")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 1


@pytest.mark.parametrize(
    "path",
    ["/picture/1", "/picture/-1", "/picture/x", "/picture/0000", "/other/0", "/../a.py", "/server.py", "/%2e%2e/a.py"],
)
def test_what_is_not_there(server, path):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        assert client.makefile("rb").readline().split()[1] in (b"404", b"400")


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"GET /picture/0?after=x HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /picture/0?wait=nan HTTP/1.1\r\nHost: localhost\r\n\r\n", b"204"),
        (b"GET /picture/0?" + b"&".join(b"a=1" for _ in range(50)) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET http://[x/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", b"501"),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\n\r\n", b"403"),
        (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", b"200"),  # of port 80 no browser says the port
        (b"GET / HTTP/1.1\r\nHost: LocalHost\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", b"403"),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", b"400"),
    ],
)
def test_odd_requests_get_a_plain_answer(server, raw, status, capfd):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(raw)
        answer = client.makefile("rb").readline()
    assert status in answer.split() or answer.startswith(b"<!DOCTYPE")  # what knows no version gets no status line
    assert get(server, "/state")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_clients_that_leave_in_the_middle_or_send_nothing(server, view, monkeypatch, capfd):
    view.offer(shown(1, size=(1000, 1200)))
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"GET /picture/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # with a reset
        client.close()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    view.offer(shown(2))  # the run goes on
    assert get(server, "/picture/0")[1]["X-Frame"] == "2"
    for client in silent:
        client.close()
    assert capfd.readouterr() == ("", "")


def test_slow_clients_are_cut_off(view, monkeypatch):
    monkeypatch.setattr(servers, "_ASK_WITHIN", 0.3)
    monkeypatch.setattr(servers._Handler, "timeout", 60.0)  # the deadline of the whole request is what counts
    board = Board()
    board.add(view)
    with LiveServer(board, "127.0.0.1", 0) as server:
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        ended = threading.Event()

        def drip():  # a byte now and then, for ever
            try:
                while not ended.wait(0.05):
                    client.send(b"x")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        assert client.recv(1) == b""
        ended.set()
        thread.join()
        client.close()


def test_more_clients_than_there_is_room_for_are_turned_away(view, monkeypatch):
    monkeypatch.setattr(servers, "_MOST_CLIENTS", 3)
    monkeypatch.setattr(servers, "_ASK_WITHIN", 600.0)
    monkeypatch.setattr(servers._Handler, "timeout", 600.0)
    board = Board()
    board.add(view)
    with LiveServer(board, "127.0.0.1", 0) as server:
        held = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(3)]
        for client in held:  # each is being served
            client.sendall(b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(1)
        further = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        assert further.recv(1) == b""
        for client in (*held, further):
            client.close()


def test_a_token_past_the_loopback(view):
    board = Board()
    board.add(view)
    with LiveServer(board, "0.0.0.0", 0) as server:
        assert server.token and f"?token={server.token}" in server.url
        assert {get(server, path)[0] for path in ("/", "/state", "/picture/0", "/page.js", "/?token=x")} == {403}
        assert get(server, "/state", Cookie="dvsnet=; a=\x01")[0] == 403
        assert get(server, "/state", Authorization="Bearer ä".encode().decode("latin-1"))[0] == 403
        status, headers, _ = get(server, f"/?token={server.token}")
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert get(server, "/", Cookie=cookie.partition(";")[0])[0] == 200
        assert get(server, "/state", Authorization=f"Bearer {server.token}")[0] == 200
        assert get(server, f"/state?token={server.token}")[0] == 200
    with LiveServer(board, "127.0.0.1", 0, token="a" * 20) as server:
        assert get(server, "/state")[0] == 403 and get(server, "/state?token=" + "a" * 20)[0] == 200


def test_addresses(server):
    assert parse_address("8080") == parse_address(":8080") == parse_address("localhost:8080") == ("127.0.0.1", 8080)
    assert parse_address("[::1]:80") == ("::1", 80) and parse_address("0.0.0.0:0") == ("0.0.0.0", 0)
    for wrong in ("", "x", "1.2.3.4:", "1.2.3.4:99999", ":-1", "80a", "٣"):
        with pytest.raises(InputError, match=r"expected \[HOST:\]PORT"):
            parse_address(wrong)
    with pytest.raises(InputError, match="cannot be listened on"):
        LiveServer(Board(), "127.0.0.1", server.port)
    with pytest.raises(InputError, match="cannot be listened on"):
        LiveServer(Board(), "192.0.2.1", 0)
    with pytest.raises(InputError, match="cannot be listened on"):
        LiveServer(Board(), 70 * "ü", 0)  # a name that cannot be one


def test_closing_hangs_up_and_leaves_no_thread(view):
    board = Board()
    board.add(view)
    server = LiveServer(board, "127.0.0.1", 0)
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(b"GET /picture/0?wait=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    get(server, "/state")
    server.close()
    view.end()
    client.makefile("rb").read()
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dvsnet-serve")]


def test_where_it_is_shown_is_told(monkeypatch, capsys):
    monkeypatch.delenv("DVSNET_SERVE_TOKEN", raising=False)
    with served("127.0.0.1:0"):
        pass
    assert re.search(r"shown at http://127\.0\.0\.1:\d+/\n$", capsys.readouterr().err)
    with served("0.0.0.0:0"):  # which is no address that others could ask
        pass
    told = r"http://0\.0\.0\.0:\d+/\?token=\S+, to .* \(with this machine's name or address in place of 0\.0\.0\.0\);"
    assert re.search(told, capsys.readouterr().err)
