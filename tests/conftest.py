"""Where the tests find golden outputs and real data, and the device they run on."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import compiling  # before jax
import numpy as np
import pytest
import shape_checks

shape_checks.install()
pytest.raises = shape_checks.unchecked_within(pytest.raises)

LONGEST = (
    "test_documentation", "test_evaluate", "test_train_flow", "test_policy_sweep", "test_video", "test_export",
    "test_train_decision", "test_speed", "test_campaign", "test_cli_resume", "test_training_segmentation", "test_cli",
)  # fmt: skip
"""Files that begin first, so that no worker has one of them left when the other has nothing more to do."""
_STARTED = time.monotonic()
_HERE = Path(__file__).parent
_SHARED = _HERE.parent.parent / "shared"


@pytest.fixture(autouse=True)
def _optimized(request: pytest.FixtureRequest):
    """Compiles a test marked `optimized` as the user's programs are: it runs longer than it compiles."""
    if request.node.get_closest_marker("optimized") is None:
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def compiled(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What JAX has said of each program that it compiled since, name first."""
    import jax

    begins = "Compiling "
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        yield lambda: [
            text.removeprefix(begins) for record in caplog.records if (text := record.getMessage()).startswith(begins)
        ]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, help="begin no test later than that; those against the original go first")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        if config.getoption("minutes"):
            return item.get_closest_marker("optimized") is None
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = item.config.getoption("minutes")
    if minutes and time.monotonic() - _STARTED > 60 * minutes:
        pytest.skip(f"{minutes:g} minutes are over")


# Tracing makes millions of objects that go by themselves: to look for others every 700 took a twentieth of the time.
gc.set_threshold(100_000, 20, 20)


def _set_garbage_aside() -> None:
    """What is there for good (modules, programs) is not looked through again in every collection of garbage: each took
    a second at the end of a run, and some tests want many."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    _set_garbage_aside()


@pytest.hookimpl(trylast=True)  # when the fixtures of the file are gone
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    _, of_100_000, of_millions = gc.get_count()
    if (nextitem is None or nextitem.path != item.path) and (of_100_000 > 2 or of_millions):
        _set_garbage_aside()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # once, not in every worker of pytest-xdist
        compiling.forget_oldest()


class Goldens:
    """Outputs of the original programs: all of them beside the repository, or the small subset in `tests/golden`."""

    roots = (_SHARED / "goldens", _HERE / "golden")

    def path(self, name: str) -> Path:
        for root in self.roots:
            if (root / name).exists():
                return root / name
        pytest.skip(f"golden file {name} is not here")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.path(f"{name}.npz"), allow_pickle=False) as file:
            return dict(file)

    def json(self, name: str):
        return json.loads(self.path(f"{name}.json").read_text())

    def image(self, name: str) -> np.ndarray:
        """RGB uint8 [h, w, 3] of a PNG under frames/."""
        from PIL import Image

        return np.asarray(Image.open(self.path(f"frames/{name}.png")).convert("RGB"))


@pytest.fixture(scope="session")
def goldens() -> Goldens:
    return Goldens()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real video; tests that use it are marked `data`."""
    folder = Path(os.environ.get("DVSNET_DATA", _SHARED / "data"))
    if not folder.is_dir():
        pytest.skip("real data is not here; set DVSNET_DATA to its folder")
    return folder


def pytest_report_header() -> str:
    if not shape_checks.WANTED:
        return "annotations of arrays: not checked, as DVSNET_CHECK_ANNOTATIONS=0 says"
    if not shape_checks.FOUND:
        return "annotations of arrays: not checked, for beartype is not installed; pip install 'dvsnet-jax[dev]'"
    return "annotations of arrays: checked in all calls"


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. One for all tests: it takes longer to start than they do."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not here; it is in the extra `dev`")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver; Debian has them as chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking",
        "disable-component-update", "disable-sync", "no-first-run",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        session = webdriver.Chrome(options=options, service=Service(driver))
    except WebDriverException as error:
        pytest.skip(f"chromium does not start here: {error.msg}")
    session.set_script_timeout(120)
    yield session
    session.quit()
