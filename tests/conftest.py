"""Where the tests find golden outputs and real data, and the device they run on."""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu" if not os.environ.get("DVSNET_TEST_GPU") else "")
# Most of the time goes into compiling: what one test, worker or subprocess has compiled the others find here.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import array_annotations
import numpy as np
import pytest

array_annotations.install()
pytest.raises = array_annotations.unchecked_within(pytest.raises)

_HERE = Path(__file__).parent
_SHARED = _HERE.parent.parent / "shared"


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
    if not array_annotations.WANTED:
        return "annotations of arrays: not checked, as DVSNET_CHECK_ANNOTATIONS=0 says"
    if not array_annotations.FOUND:
        return "annotations of arrays: not checked, for beartype is not installed; pip install 'dvsnet-jax[dev]'"
    return "annotations of arrays: checked in every call"
