"""The evaluation's page: it holds everything itself, nothing in it breaks out, and it can be used, in a browser too."""

from __future__ import annotations

import base64
import json
import math
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib import resources
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.reports.page import Bin, Clip, Curve, Frame, Point, Report, pareto_front, write_report
from dvsnet_jax.markdown import Table, markdown_table, numeric_columns
from dvsnet_jax.media.encoded import jpeg_bytes, palette_png_bytes
from dvsnet_jax.visualize import label_palette

HOSTILE = "</script><b>\"'&amp;<!-- {{data}} {{title}} \\u003c ünïcode 街 🚗 \u2028\x00"
GRID = (2, 2)
FRAMES = 4
SIZE = (96, 160)
UNLABELLED = 2
"""The frame that has no truth."""


@cache
def frames() -> tuple[Frame, ...]:
    scene, made = StreetScene(5, *SIZE, frames=FRAMES), []
    for index in range(FRAMES):
        image, truth = scene.draw(index)
        labels, truth = np.roll(truth, 3, axis=1), truth.copy()
        truth[:10] = 255
        scores = [math.nan] * 4 if index == 0 else [80.0 + index, 91.25, 85.0, 70.5]
        made.append(
            Frame(f"frame {index}", image, labels, np.array([True, index == 0, False, index == 1]), scores,
                  (87.0, 87.0, 87.0, None), None if index == UNLABELLED else truth, 0.5)
        )  # fmt: skip
    return tuple(made)


@cache
def full(name: str = "a name") -> Report:
    """Every part, every text of it with `name` in it."""
    classes = (f"road {name}", "pavement")
    return Report(
        title=f"title {name}",
        facts=((f"data {name}", f"street {name}"), ("frames", "4")),
        headline=Table(("policy", f"mIoU {name}"), (("interval", "61.2%"), (f"learned {name}", "60.0%"))),
        curves=(
            Curve(f"learned {name}", (Point(0.5, 0.62, "target 90"), Point(0.1, 0.5, f"target {name}"))),
            Curve("oracle", (Point(0.1, 0.66),), competes=False),
        ),
        milliseconds=(60.0, 330.0),
        classes=classes,
        class_ious=((f"run {name}", (0.9, None)), ("other", (math.nan, 0.25))),
        calibration=(Bin(80.0, 82.5, 40), Bin(95.0, 90.0, 39)),
        clips=(Clip(f"clip {name}", GRID, frames(), label_palette(), classes, overlap=8),),
    )


class _Page(HTMLParser):
    """Elements with their attributes, and the texts of script, style and title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        self.texts[self._inside] = self.texts.get(self._inside, "") + data


def written(tmp_path, report, **options):
    """The page's text, and what its JSON holds."""
    write_report(tmp_path / "report.html", report, **options)
    text = (tmp_path / "report.html").read_text("utf-8")
    return text, json.loads(_Page(text).texts["data"])


def decoded(uri: str) -> Image.Image:
    kind, content = uri.removeprefix("data:image/").split(";base64,")
    image = Image.open(BytesIO(base64.b64decode(content)))
    assert image.format == {"png": "PNG", "jpeg": "JPEG"}[kind]
    return image


# --- the file ---------------------------------------------------------------------------------------------------------


def test_nothing_is_fetched(tmp_path):
    text, _ = written(tmp_path, full())
    page = _Page(text)
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert not {"src", "href", "srcset", "action"} & attributes.keys(), (tag, attributes)
    code = page.texts["style"] + page.texts["script"]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(", code)
    # an address occurs as the name of SVG's elements alone
    assert set(re.findall(r"(?:https?:)?//[\w.]+\.\w[^\"'\s]*", text.replace(page.texts["data"], ""))) == {
        "http://www.w3.org/2000/svg"
    }
    (policy,) = (a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none';") and "http" not in policy


def test_texts_never_become_markup(tmp_path):
    script = _Page(written(tmp_path, full())[0]).texts["script"]
    assert not re.search(r"(inner|outer|Adjacent)HTML|document\.write|\beval\b|Function\(|Fragment\(|DOMParser", script)


def test_hostile_names_come_through_as_they_are(tmp_path):
    text, content = written(tmp_path, full(HOSTILE))
    plain, _ = written(tmp_path, full())
    elements = [tag for tag, _ in _Page(plain).elements]
    assert [tag for tag, _ in _Page(text).elements] == elements
    assert text.count("</script>") == plain.count("</script>") == 2
    report = full(HOSTILE)
    assert content["title"] == report.title
    assert content["facts"] == [list(fact) for fact in report.facts]
    assert content["headline"]["columns"] == list(report.headline.columns)
    assert content["headline"]["rows"][1][0] == f"learned {HOSTILE}"
    assert content["curves"][0]["name"] == f"learned {HOSTILE}"
    assert content["curves"][0]["points"][0]["label"] == f"target {HOSTILE}"
    assert content["classes"][0] == f"road {HOSTILE}"
    assert content["class_ious"][0]["name"] == f"run {HOSTILE}"
    assert content["clips"][0]["name"] == f"clip {HOSTILE}"
    assert content["clips"][0]["legend"][0][0] == f"road {HOSTILE}"


def test_names_that_are_no_unicode_are_written(tmp_path):
    half = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert written(tmp_path, Report(half))[1]["title"] == half


def test_numbers_come_through(tmp_path):
    _, content = written(tmp_path, full())
    assert content["calibration"][0] == {"predicted": 80.0, "actual": 82.5, "count": 40}
    assert content["class_ious"] == [
        {"name": "run a name", "ious": [0.9, None]},
        {"name": "other", "ious": [None, 0.25]},
    ]
    assert content["headline"]["numeric"] == [False, True]
    (clip,) = content["clips"]
    assert (clip["rows"], clip["columns"], clip["size"]) == (*GRID, list(SIZE))
    assert clip["parts"] == [[56, 40], [88, 72]]  # half way through what regions of 64×96 share
    assert [frame["name"] for frame in clip["frames"]] == [f"frame {index}" for index in range(FRAMES)]
    first, second = clip["frames"][:2]
    assert first["scores"] == [None] * 4 and second["scores"] == [81.0, 91.25, 85.0, 70.5]
    assert second["targets"] == [87.0, 87.0, 87.0, None] and second["mean_iou"] == 0.5
    assert second["segmented"] == [True, False, False, True]


def test_accuracy_is_of_the_pixels_that_count(tmp_path):
    _, content = written(tmp_path, full(), longest_side=64)  # counted at full size
    for frame, given in zip(content["clips"][0]["frames"], frames(), strict=True):
        if given.truth is None:
            assert frame["accuracy"] is frame["truth"] is frame["errors"] is None
        else:
            right = (given.labels == given.truth)[given.truth != 255].mean()
            assert frame["accuracy"] == pytest.approx(right, abs=1e-4)
    nothing = replace(frames()[0], truth=np.full(SIZE, 255, np.uint8))
    _, content = written(tmp_path, Report("t", clips=(replace(full().clips[0], frames=[nothing]),)))
    assert content["clips"][0]["frames"][0]["accuracy"] is None


def test_pictures(tmp_path):
    _, content = written(tmp_path, full(), quality=95)
    clip, palette = content["clips"][0], label_palette()
    frame, given = clip["frames"][1], frames()[1]
    picture = np.asarray(decoded(frame["image"]), int)
    assert np.abs(picture - given.image).mean() < 8
    for name, ids in (("labels", given.labels), ("truth", given.truth)):
        shown = np.asarray(decoded(frame[name]).convert("RGBA"))
        np.testing.assert_array_equal(shown[..., 3], np.where(ids == 255, 0, 255))
        np.testing.assert_array_equal(shown[ids != 255, :3], palette[ids[ids != 255]])
    errors = np.asarray(decoded(frame["errors"]).convert("RGBA"))
    void, wrong = given.truth == 255, (given.truth != 255) & (given.labels != given.truth)
    assert (errors[~void & ~wrong, 3] == 0).all()
    assert (errors[wrong] == (230, 30, 30, 255)).all() and wrong.any()
    assert (errors[void, :3] == 128).all() and (errors[void, 3] > 0).all()


def test_motion_is_shown_where_it_is_known(tmp_path):
    drawn = np.full((6, 10, 3), (200, 30, 40), np.uint8)
    known, unknown = replace(frames()[0], motion=drawn), frames()[1]
    _, content = written(tmp_path, replace(full(), clips=(replace(full().clips[0], frames=[known, unknown]),)))
    first, second = content["clips"][0]["frames"]
    assert np.abs(np.asarray(decoded(first["motion"]), int) - drawn).max() < 8 and second["motion"] is None


def test_legend_has_the_classes_that_occur(tmp_path):
    labels = np.zeros(SIZE, np.uint8)
    labels[0, 0] = 2
    frame = replace(frames()[0], labels=labels, truth=None)
    clip = Clip("c", GRID, [frame], label_palette(), ("road", "sidewalk", "building"))
    _, content = written(tmp_path, Report("t", clips=(clip,)))
    assert content["clips"][0]["legend"] == [["road", "#804080"], ["building", "#464646"]]


@pytest.mark.parametrize(("size", "expected"), [((96, 160), (38, 64)), ((160, 96), (64, 38)), ((40, 64), (40, 64))])
def test_large_frames_are_embedded_smaller(tmp_path, size, expected):
    labels = np.arange(size[0] * size[1], dtype=np.uint32).reshape(size).astype(np.uint8) % 19
    frame = Frame("f", np.zeros((*size, 3), np.uint8), labels, [True], truth=labels)
    clip = Clip("c", (1, 1), [frame], label_palette())
    _, content = written(tmp_path, Report("t", clips=(clip,)), longest_side=64)
    embedded = content["clips"][0]["frames"][0]
    assert {decoded(embedded[name]).size for name in ("image", "labels", "truth", "errors")} == {expected[::-1]}
    assert content["clips"][0]["size"] == list(size)


def test_a_frame_costs_little(tmp_path):
    """7.0 kB each of the street's at 96×160, of which 4.1 are the picture; 56 kB each of CamVid's at 360×480."""
    empty, _ = written(tmp_path, replace(full(), clips=()))
    page, _ = written(tmp_path, full())
    assert len(empty) < 60_000
    a_frame = (len(page) - len(empty)) / FRAMES
    assert a_frame < 9000
    _, content = written(tmp_path, full())
    for name in ("labels", "truth", "errors"):
        assert len(content["clips"][0]["frames"][0][name]) < 2500


def test_frames_are_asked_for_once_and_in_order(tmp_path):
    asked = []

    class Lazy(tuple):
        def __iter__(self):
            for index, frame in enumerate(tuple.__iter__(self)):
                asked.append(index)
                yield frame

    written(tmp_path, replace(full(), clips=(replace(full().clips[0], frames=Lazy(frames())),)))
    assert asked == list(range(FRAMES))


def test_empty_parts(tmp_path):
    _, content = written(tmp_path, Report("nothing"))
    assert content.pop("title") == "nothing"
    assert not any(content.values())
    curve, clip = Curve("no run", ()), Clip("no frame", GRID, (), label_palette())
    _, content = written(tmp_path, Report("t", headline=Table((), ()), curves=(curve,), clips=(clip,)))
    assert content["headline"] is None and content["curves"] == [] and content["clips"][0]["frames"] == []


def test_a_killed_write_leaves_the_old_page(tmp_path):
    old, _ = written(tmp_path, Report("the old page"))
    program = textwrap.dedent("""
        import os, signal, sys
        from dvsnet_jax.evaluation.reports.page import Clip, Report, write_report
        from dvsnet_jax.visualize import label_palette

        def frames():
            os.kill(os.getpid(), signal.SIGKILL)
            yield

        clip = Clip("half", (2, 2), frames(), label_palette())
        write_report(sys.argv[1], Report("the new page", clips=(clip,)))
    """)
    path = tmp_path / "report.html"
    assert subprocess.run([sys.executable, "-c", program, path], timeout=900).returncode == -signal.SIGKILL
    assert path.read_text("utf-8") == old
    assert len(list(tmp_path.iterdir())) == 2  # the half page lies beside it


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "nowhere" / "report.html", Report("t"))


def test_a_clip_that_cannot_be_read_is_told_by_its_own_name(tmp_path):
    def frames():
        yield full().clips[0].frames[0]
        (tmp_path / "gone" / "routes.jsonl").open()

    clip = replace(full().clips[0], frames=frames())
    with pytest.raises(InputError, match=r"routes\.jsonl: cannot be read for the report"):
        write_report(tmp_path / "report.html", Report("t", clips=(clip,)))
    assert not list(tmp_path.iterdir())


def test_the_page_is_in_the_package():
    assert resources.files("dvsnet_jax.evaluation.reports").joinpath("page.html").is_file()


# --- what is refused --------------------------------------------------------------------------------------------------


def _clip(**changes) -> Report:
    clip = full().clips[0]
    return Report("t", clips=(replace(clip, frames=[clip.frames[0], replace(clip.frames[1], **changes)]),))


PICTURE = np.zeros((*SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (lambda: _clip(labels=PICTURE[:50, :, 0]), r"frame 1.*labels are uint8\[50, 160\], expected uint8\[96, 160\]"),
        (lambda: _clip(truth=PICTURE[:, :9, 0]), r"frame 1.*truth is uint8\[96, 9\], expected uint8\[96, 160\]"),
        (lambda: _clip(labels=PICTURE[..., 0].astype(int)), r"labels are int64\[96, 160\], expected uint8"),
        (lambda: _clip(image=PICTURE[..., 0]), r"picture is uint8\[96, 160\], expected uint8\[height, width, 3\]"),
        (lambda: _clip(image=PICTURE / 255), r"picture is float64\[96, 160, 3\], expected uint8"),
        (lambda: _clip(image=PICTURE[:50]), r"picture is uint8\[50, 160, 3\], but the first is \[96, 160, 3\]"),
        (lambda: _clip(segmented=[True]), "segmented has 1 values, expected 4"),
        (lambda: _clip(segmented=[]), "segmented has 0 values, expected 4"),
        (lambda: _clip(scores=[1.0] * 5), "scores has 5 values, expected 4"),
        (lambda: _clip(targets=[1.0]), "targets has 1 values, expected 4"),
        (lambda: _clip(mean_iou=51.0), "frame 1.*mean_iou is 51, expected 0 to 1; divide percent by 100"),
        (lambda: Report("t", clips=(replace(full().clips[0], grid=(0, 2)),)), "grid is 0×2, expected at least one row"),
        (lambda: Report("t", clips=(replace(full().clips[0], palette=label_palette()[:19]),)), r"palette is uint8\[19"),
        (lambda: Report("t", curves=(Curve("c", (Point(30, 0.5, "p"),)),)), "curve 'c', point 'p': share is 30"),
        (lambda: Report("t", curves=(Curve("c", (Point(0.3, math.nan),)),)), "mean_iou is nan, expected 0 to 1"),
        (lambda: Report("t", classes=("a", "b"), class_ious=(("r", (0.5,)),)), "run 'r' has the IoU of 1 .* 2"),
        (lambda: Report("t", classes=("a",), class_ious=(("r", (50.0,)),)), "run 'r': IoU of 'a' is 50"),
        (lambda: Report("t", milliseconds=(5.0, math.inf)), "milliseconds .*expected what a frame takes"),
        (lambda: Report("t", calibration=(Bin(math.nan, 1.0, 0),)), "expected finite numbers"),
        (lambda: Report("t", headline=Table(("a", "b"), (("x",),))), "row .* has 1 cells, expected 2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, report, message):
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(InputError, match=message) as caught:
        write_report(tmp_path / "report.html", report())
    assert "\n" not in str(caught.value)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "old")]


@pytest.mark.parametrize("options", [{"quality": 0}, {"quality": 96}, {"longest_side": 31}])
def test_options_out_of_range(tmp_path, options):
    with pytest.raises(InputError, match="quality of 1 to 95 and at least 32 pixels"):
        write_report(tmp_path / "report.html", Report("t"), **options)


# --- numbers and tables -----------------------------------------------------------------------------------------------


def test_pareto_front():
    points = {
        "cheapest": Point(0.1, 0.5),
        "as dear as the best there": Point(0.3, 0.55),
        "best there": Point(0.3, 0.6),
        "dearer and no better": Point(0.4, 0.6),
        "dearer and worse": Point(0.5, 0.58),
        "dearest and best": Point(1.0, 0.7),
        "the same again": Point(1.0, 0.7),
    }
    optimal = dict(zip(points, pareto_front(list(points.values())), strict=True))
    assert [name for name, chosen in optimal.items() if chosen] == [
        "cheapest", "best there", "dearest and best", "the same again",
    ]  # fmt: skip
    assert pareto_front([]) == ()


def test_curves_are_sorted_and_their_front_is_over_all_that_compete(tmp_path):
    curves = (
        Curve("a", (Point(0.5, 0.6, "a1"), Point(0.1, 0.4, "a2"))),
        Curve("oracle", (Point(0.1, 0.9, "o"),), competes=False),
        Curve("b", (Point(0.5, 0.5, "b1"), Point(0.1, 0.5, "b2"))),
    )
    _, content = written(tmp_path, Report("t", curves=curves))
    found = [[(point["label"], point["optimal"]) for point in curve["points"]] for curve in content["curves"]]
    assert found == [[("a2", False), ("a1", True)], [("o", False)], [("b1", False), ("b2", True)][::-1]]


def test_markdown():
    table = Table(("policy", "mIoU", "note"), (("0016E5", "61.2% (9%)", "a|b\n*c*"), ("x_y", "–", "<b> \\ [d](e) `f`")))
    assert numeric_columns(table) == (False, True, False)
    assert markdown_table(table).splitlines() == [
        "| policy | mIoU | note |",
        "|---|--:|---|",
        r"| 0016E5 | 61.2% (9%) | a\|b \*c\* |",
        r"| x_y | – | \<b> \\ \[d](e) \`f\` |",
    ]


def test_encoders_refuse_other_arrays():
    with pytest.raises(ValueError, match=r"float64\[4, 4, 3\], expected uint8"):
        jpeg_bytes(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match=r"uint8\[4, 4, 3\], expected uint8 \[h, w\]"):
        palette_png_bytes(np.zeros((4, 4, 3), np.uint8), label_palette())


def test_more_than_16_ids_in_a_palette_picture():
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    shown = np.asarray(Image.open(BytesIO(palette_png_bytes(ids, palette))).convert("RGB"))
    np.testing.assert_array_equal(shown, palette[ids])


# --- in a browser -----------------------------------------------------------------------------------------------------


class Opened:
    """A report in the browser."""

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.browser = browser
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get_log("browser")
        browser.get(path.as_uri())
        # Plots are drawn when their width is known, which is after layout.
        browser.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));"
        )

    def js(self, expression, *arguments):
        return self.browser.execute_script(f"return {expression}", *arguments)

    def one(self, selector):
        return self.browser.find_element("css selector", selector)

    def hold_time(self):
        """What plays from here on stays at its frame."""
        self.js("window.setInterval = () => 1")

    def text(self, selector):
        return self.one(selector).get_property("textContent")

    def click(self, selector):
        element = self.one(selector)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def errors(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def frame(self):
        """Which frame is shown, from 0: told in the same way by all that tell it."""
        place = int(self.one(".time").get_property("value"))
        assert self.text(".count") == f"{place + 1} / {FRAMES}"
        assert f"frame {place}" in self.text(".now") and self.one(".stage img").get_property("alt") == f"frame {place}"
        return place

    def shows(self, layer):
        """Whether the layer over the picture is this one of the frame's."""
        source = self.js("document.querySelector('.stage .layer').src")
        return self.one(".stage .layer").is_displayed() and source == self.js(
            "JSON.parse(document.getElementById('data').textContent).clips[0].frames[arguments[0]][arguments[1]]",
            self.frame(),
            layer,
        )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report with space.html"
    write_report(path, full())
    return path


def test_the_player_shows_motion(browser, tmp_path):
    drawn = np.full((6, 10, 3), (200, 30, 40), np.uint8)
    clip = replace(full().clips[0], frames=[replace(frames()[0], motion=drawn), *frames()[1:]])
    write_report(tmp_path / "motion.html", replace(full(), clips=(clip,)))
    opened = Opened(browser, tmp_path / "motion.html")
    opened.click("input[value=motion]")
    assert opened.shows("motion")
    opened.click(".next")
    assert opened.text(".missing") == "Motion is not known here" and not opened.one(".layer").is_displayed()


def test_the_player_by_mouse(browser, page):
    opened = Opened(browser, page)
    assert opened.frame() == 0 and opened.shows("labels")
    assert not opened.one("input[value=motion]").is_enabled()  # none was carried
    opened.click(".next")
    assert opened.frame() == 1 and opened.shows("labels")
    opened.click("input[value=errors]")
    assert opened.shows("errors") and opened.one(".dimmed").is_displayed()
    opened.click("input[value=truth]")
    assert opened.shows("truth") and not opened.one(".missing").is_displayed()
    opened.click(".next")
    assert opened.frame() == UNLABELLED and not opened.one(".layer").is_displayed()
    assert opened.one(".missing").is_displayed() and "no truth" in opened.text(".now")
    opened.click("input[value=image]")
    assert not opened.one(".missing").is_displayed() and not opened.one(".layer").is_displayed()
    opened.click(".first")
    assert opened.frame() == 0
    opened.click(".last")
    assert opened.frame() == FRAMES - 1
    opened.click(".back")
    assert opened.frame() == FRAMES - 2
    assert opened.errors() == []


def test_playing_ends_with_the_last_frame(browser, page):
    from selenium.webdriver.support.wait import WebDriverWait

    opened = Opened(browser, page)
    # At once, in one script: on a busy machine the clip is over before a second question is answered.
    assert opened.js("(b => (b.click(), b.getAttribute('aria-label')))(document.querySelector('.play'))") == "Pause"
    WebDriverWait(browser, 60).until(lambda _: opened.one(".play").get_attribute("aria-label") == "Play")
    assert opened.frame() == FRAMES - 1
    opened.hold_time()
    opened.click(".play")
    assert opened.frame() == 0 and opened.one(".play").get_attribute("aria-label") == "Pause"
    opened.click(".next")  # stepping is pausing
    assert opened.frame() == 1 and opened.one(".play").get_attribute("aria-label") == "Play"
    assert opened.errors() == []


def test_the_player_by_keyboard(browser, page):
    from selenium.webdriver.common.keys import Keys

    opened = Opened(browser, page)
    player = opened.one(".player")
    player.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert opened.frame() == 2
    player.send_keys(Keys.ARROW_LEFT)
    assert opened.frame() == 1
    player.send_keys(Keys.END, Keys.ARROW_RIGHT)
    assert opened.frame() == FRAMES - 1
    player.send_keys(Keys.HOME)
    opened.one(".time").send_keys(Keys.ARROW_RIGHT)  # the slider moves by one, not by two
    assert opened.frame() == 1
    strength = opened.one(".opacity")
    before = float(opened.js("document.querySelector('.layer').style.opacity"))
    strength.send_keys(Keys.ARROW_RIGHT)
    assert float(opened.js("document.querySelector('.layer').style.opacity")) == pytest.approx(before + 0.01)
    assert opened.frame() == 1
    opened.one("input[value=labels]").send_keys(Keys.ARROW_DOWN)
    assert opened.shows("truth") and opened.frame() == 1
    opened.hold_time()
    player.send_keys(" ")
    assert opened.one(".play").get_attribute("aria-label") == "Pause"
    player.send_keys(" ")
    assert opened.one(".play").get_attribute("aria-label") == "Play"
    assert opened.errors() == []


def test_regions_say_their_route_score_and_target(browser, page):
    opened = Opened(browser, page)
    opened.click(".next")
    regions = browser.find_elements("css selector", ".region")
    assert ["anew" in region.get_attribute("class").split() for region in regions] == [True, False, False, True]
    assert [region.get_property("textContent") for region in regions] == [
        "anew81.0 / 87.0", "warped91.3 / 87.0", "warped85.0 / 87.0", "anew70.5 / –",
    ]  # fmt: skip
    first, whole = regions[0].rect, opened.one(".regions").rect
    assert first["height"] / whole["height"] == pytest.approx(56 / 96, abs=0.01)
    assert first["width"] / whole["width"] == pytest.approx(88 / 160, abs=0.01)
    opened.click(".texts")
    assert not opened.one(".chip").is_displayed()
    opened.click(".outlines")
    assert not opened.one(".regions").is_displayed()


def test_a_click_into_a_chart_goes_to_its_frame(browser, page):
    from selenium.webdriver import ActionChains

    opened = Opened(browser, page)
    charts = browser.find_elements("css selector", ".series figure svg")
    assert len(charts) == 5  # four regions, and the share of right pixels
    opened.js("arguments[0].scrollIntoView({block: 'center'})", charts[0])
    width = charts[0].rect["width"]
    ActionChains(browser).move_to_element_with_offset(charts[0], int(0.35 * width), 0).click().perform()
    assert opened.frame() == FRAMES - 1
    ActionChains(browser).move_to_element_with_offset(charts[0], int(-0.3 * width), 0).click().perform()
    assert opened.frame() == 0
    assert "anew" in opened.text(".series figcaption")


def test_plots_are_walked_by_arrow_keys(browser, page):
    from selenium.webdriver.common.keys import Keys

    opened = Opened(browser, page)
    marks = browser.find_elements("css selector", ".plot .mark")
    assert len(marks) == 3 + 2 + 4
    assert len(browser.find_elements("css selector", ".plot .mark.optimal")) == 2
    opened.js("document.querySelector('.plot .mark[tabindex=\"0\"]').focus()")
    assert opened.text(".tip").splitlines()[:2] == ["learned a name", "target a name"]
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert opened.one(".tip").is_displayed()
    assert opened.text(".tip").splitlines() == [
        "learned a name", "target 90", "62.00% mean IoU", "50.0% of regions segmented", "195 ms a frame",
        "Pareto-optimal",
    ]  # fmt: skip
    assert len(browser.find_elements("css selector", ".plot .mark[tabindex='0']")) == 3  # one tab stop a plot
    axis = opened.js("[...document.querySelector('.plot svg').querySelectorAll('text')].map(text => text.textContent)")
    place = axis.index("ms a frame")
    shares = [
        float(text) for text in axis[axis.index("mean IoU, %") - len(axis[place + 1 :]) : axis.index("mean IoU, %")]
    ]
    assert [float(text) for text in axis[place + 1 :]] == [60 + 2.7 * share for share in shares]
    assert opened.errors() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_fits_the_screen_in_both_themes(browser, page, width, scheme):
    opened = Opened(browser, page, width, scheme)
    seen, wide = opened.js("[innerWidth, document.documentElement.scrollWidth]")
    assert seen == width and wide <= width
    assert opened.js("[...document.images].every(image => image.getBoundingClientRect().right <= innerWidth)")
    background, text = (
        np.mean([int(part) for part in re.findall(r"\d+", opened.js(f"getComputedStyle(document.body).{name}"))[:3]])
        for name in ("backgroundColor", "color")
    )
    assert (background > 200 and text < 60) if scheme == "light" else (background < 60 and text > 200)
    assert opened.errors() == []


def test_nothing_is_fetched_by_the_browser(browser, page):
    opened = Opened(browser, page)
    opened.click("input[value=truth]")
    opened.click(".next")
    names = opened.js("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in names if not name.startswith("data:")] == []


def test_hostile_names_are_texts(browser, tmp_path):
    write_report(tmp_path / "report.html", full(HOSTILE))
    opened = Opened(browser, tmp_path / "report.html")
    assert opened.text("h1") == f"title {HOSTILE}" and opened.text(".clip h2") == f"clip {HOSTILE}"
    assert opened.js("document.querySelectorAll('b, script').length") == 2
    opened.click(".next")
    assert opened.frame() == 1
    wide = opened.js("document.documentElement.scrollWidth")
    assert wide <= 1280 and opened.errors() == []


def test_empty_parts_are_left_out_of_the_page(browser, tmp_path):
    write_report(tmp_path / "report.html", Report("nothing"))
    opened = Opened(browser, tmp_path / "report.html")
    assert opened.text("h1") == "nothing"
    assert opened.js("document.querySelectorAll('section, table, svg, img, dl').length") == 0
    curves = (Curve("one", (Point(1.0, 0.5),)),)
    clip = Clip("no truth", (1, 1), [replace(frames()[0], segmented=[True], scores=(), targets=(), truth=None)],
                label_palette())  # fmt: skip
    write_report(tmp_path / "report.html", Report("some", curves=curves, clips=(clip,)))
    opened = Opened(browser, tmp_path / "report.html")
    headings = [heading.text for heading in browser.find_elements("css selector", "h2")]
    assert headings == ["Accuracy against work", "no truth"]
    assert not opened.one("input[value=truth]").is_enabled() and not opened.one("input[value=errors]").is_enabled()
    assert "no truth to hold" in opened.text(".clip .note")
    assert opened.errors() == []
