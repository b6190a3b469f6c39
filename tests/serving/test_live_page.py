"""The page in a browser: headless Chromium, where it is there."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from dvsnet_jax.serving.board import Board, View
from dvsnet_jax.serving.server import LiveServer
from dvsnet_jax.visualize import label_palette


class Run:
    """Two sources whose frames come on and on, as a run's do."""

    def __init__(self) -> None:
        self.board = Board()
        self.views = [
            self.board.add(View(name, (2, 2), label_palette())) for name in ("front-door", "<i>yard</i> " + "long" * 20)
        ]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        number, size = 0, (180, 320)
        yy, xx = np.mgrid[: size[0], : size[1]]
        while not self.ended.wait(0.05):
            number += 1
            image = np.stack([(xx + 5 * number) % 256, yy, np.full(size, 90)], axis=-1).astype(np.uint8)
            for place, view in enumerate(self.views):
                view.offer(
                    SimpleNamespace(
                        frame=SimpleNamespace(image=image),
                        labels=((xx // 40 + yy // 60 + number // 10) % 19).astype(np.uint8),
                        scores=np.array([98.4, 71.2, np.nan, 88.0], np.float32),
                        segmented=np.array([False, True, number % 2 == 0, False]),
                        record={"frame": number, "live": {"lag": 0.21 + place, "dropped": place}},
                    )
                )

    def close(self) -> None:
        self.ended.set()
        self.thread.join()


@pytest.fixture
def server():
    run = Run()
    with LiveServer(run.board, "127.0.0.1", 0) as server:
        yield server
        run.close()


def opened(browser, url, width=1280, scheme="light"):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get_log("browser")
    browser.get(url)
    wait_for(lambda: len(shown(browser)) == 2 and all(shown(browser)))


def errors(browser, server):
    """Not those of the page before, whose server is gone."""
    return [entry["message"] for entry in browser.get_log("browser") if server.url in entry["message"]]


def shown(browser):
    """The numbers of the pictures that are shown."""
    script = "return [...document.querySelectorAll('.card')].map((card) => Number(card.dataset.shown || 0))"
    return browser.execute_script(script)


def wait_for(condition):
    for _ in range(600):
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("nothing came of it")


def text(browser, selector):
    return browser.find_element("css selector", selector).text


def press(browser, key=" "):
    browser.find_element("css selector", "body").send_keys(key)


def test_pictures_move_and_the_keyboard_pauses_them(browser, server):
    opened(browser, server.url)
    before = shown(browser)
    wait_for(lambda: all(now > then for now, then in zip(shown(browser), before, strict=True)))
    natural = "return [...document.images].map((image) => [image.complete, image.naturalWidth])"
    there = [[True, 320], [True, 320]]
    wait_for(lambda: browser.execute_script(natural) == there)  # the next may be on its way into its place
    press(browser)
    button = browser.find_element("css selector", "#pause")
    assert button.get_attribute("aria-pressed") == "true" and button.text == "Go on"
    wait_for(lambda: "paused" in text(browser, "#status") and browser.execute_script(natural) == there)
    held = shown(browser)
    state = text(browser, "[data-fact=frames]")
    wait_for(lambda: text(browser, "[data-fact=frames]") != state)  # numbers go on, pictures do not
    assert shown(browser) == held
    press(browser)
    wait_for(lambda: all(now > then for now, then in zip(shown(browser), held, strict=True)))
    button.send_keys(" ")  # on the button itself it counts once
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not errors(browser, server)


def test_of_an_input_that_has_ended_no_picture_is_asked_for_any_more(browser, server, monkeypatch):
    opened(browser, server.url)
    asked, wait = [], View.wait
    monkeypatch.setattr(View, "wait", lambda view, *rest: asked.append(view.name) or wait(view, *rest))
    board = server._server.board
    board.view(0).offer = lambda shown: None
    board.view(0).end()
    wait_for(lambda: "ended" in text(browser, "h2"))
    boxes = "return [...document.querySelectorAll('.card')].map((card) => card.getBoundingClientRect().left)"
    first, second = browser.execute_script(boxes)
    assert second < first, "what has ended is behind what runs"
    time.sleep(1)
    del asked[:]
    last = shown(browser)
    wait_for(lambda: shown(browser)[1] > last[1] + 20)
    assert asked and "front-door" not in asked


def test_numbers_and_names(browser, server):
    opened(browser, server.url)
    wait_for(lambda: "running" in text(browser, "#status"))
    assert text(browser, "#status") == "2 of 2 sources running"
    names = [heading.text for heading in browser.find_elements("css selector", "h2")]
    assert names == ["front-door", "<i>yard</i> " + "long" * 20]
    wait_for(lambda: text(browser, "[data-fact=fps]") not in ("", "–"))
    assert text(browser, "[data-fact=share]").startswith(("37.5 %", "25.0 %", "50.0 %", "3", "4"))
    assert text(browser, "[data-fact=lag]") == "0.21 s" and "0 dropped" in text(browser, "[data-fact=frames]")
    cells, label = browser.execute_script(  # at once: they are made anew twice a second
        "const grid = document.querySelector('.card:first-child .scores');"
        "return [[...grid.children].map((cell) => [cell.textContent, cell.className]), grid.getAttribute('aria-label')]"
    )
    assert [text for text, _ in cells] == ["98.4", "71.2", "–", "88.0"]
    assert "anew" in cells[1][1]
    assert "of 4 regions segmented anew" in label


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_either_theme(browser, server, width, scheme):
    opened(browser, server.url, width, scheme)
    sizes = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert sizes[0] <= sizes[1] == width
    colors = browser.execute_script("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
    text_color, page = ([int(part) for part in color[4:-1].split(",")] for color in colors)
    assert (sum(text_color) < sum(page)) == (scheme == "light")
    assert abs(sum(text_color) - sum(page)) > 450  # of 765: readable
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.card')].map((card) => card.getBoundingClientRect().left)"
    )
    assert (boxes[0] == boxes[1]) == (width == 360)  # one below the other, or beside it
    assert browser.find_element("css selector", "#pause").size["height"] >= 40
    assert not errors(browser, server)


def test_of_a_source_that_has_ended_little_is_asked(browser):
    run = Run()
    asked, states = [], []
    view, wait, state = run.views[0], run.views[0].wait, run.board.state
    view.wait = lambda *given: asked.append(given) or wait(*given)
    run.board.state = lambda: states.append(None) or state()
    with LiveServer(run.board, "127.0.0.1", 0) as server:
        opened(browser, server.url)
        run.close()
        for each in run.views:
            each.end()
        wait_for(lambda: text(browser, "#status") == "0 of 2 sources running")
        before, of = len(asked), len(states)
        wait_for(lambda: len(states) >= of + 4)  # two a second
        assert len(asked) - before < 40


def test_the_end_of_the_run_is_told(browser):
    run = Run()
    server = LiveServer(run.board, "127.0.0.1", 0)
    opened(browser, server.url)
    run.close()
    for view in run.views:
        view.end()
    wait_for(lambda: text(browser, "#status") == "0 of 2 sources running")
    server.close()
    wait_for(lambda: "ended, or cannot be reached" in text(browser, "#status"))
