"""One region of the paper's size through DeepLab-Fast: ours as trained and prepared, and peers that are given."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.checkpoints.seeded import seeded_params
from dvsnet_jax.config import DeepLabFastConfig, DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.markdown import Table


@dataclass(frozen=True)
class RegionTime:
    """Seconds of one network on one region, and how far its scores are from ours as trained."""

    what: str
    seconds: tuple[float, ...]
    difference: float
    """The largest, in standard deviations of the scores."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, Any]:
        return {"region": self.what, "seconds": list(self.seconds), "difference": self.difference}


def time_region(
    config: DVSNetConfig | None = None,
    *,
    height: int = 576,
    width: int = 1088,
    repeats: int = 5,
    peers: Path,
    compiled: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> list[RegionTime]:
    """Times with seeded weights, the repeats going round all networks; `peers` is the folder of `deeplab_fast.py`.

    Raises InputError where PyTorch is not installed.
    """
    config = config or DVSNetConfig.cityscapes()
    network = config.segmentation
    assert isinstance(network, DeepLabFastConfig)
    params = seeded_params(config)
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3)).astype(np.float32)
    ours = jax.jit(partial(networks.segmentation_scores, config=config))
    calls: dict[str, Callable[[], Any]] = {
        name: partial(ours, jax.device_put(each), jnp.asarray(image))
        for name, each in (("ours, as trained", params), ("ours, prepared", networks.prepare(params, config)))
    }
    inputs = np.asarray(preprocessing.bgr_minus_mean(jnp.asarray(image), network.mean))
    calls |= _peer(peers / "deeplab_fast.py").forms(params["segmentation"], network, inputs, compiled=compiled)
    scores, seconds = {}, {name: [] for name in calls}  # type: ignore[var-annotated]
    for repeat in range(repeats + 1):
        progress(f"round {repeat} of {repeats}")
        for name, call in calls.items():
            started = time.perf_counter()
            scores[name] = jax.block_until_ready(call())
            if repeat:  # the first compiles
                seconds[name].append(time.perf_counter() - started)
    expected = np.asarray(scores["ours, as trained"])
    return [
        RegionTime(
            name, tuple(seconds[name]), float(np.abs(np.asarray(scores[name]) - expected).max() / expected.std())
        )
        for name in calls
    ]


def table(rows: Sequence[RegionTime]) -> Table:
    """Each beside ours prepared."""
    ours = next(row.median for row in rows if row.what == "ours, prepared")
    cells = [
        (row.what, f"{1e3 * row.median:,.0f} ({1e3 * min(row.seconds):,.0f}–{1e3 * max(row.seconds):,.0f})",
         f"{ours / row.median:.2f}", f"{row.difference:.0e}")
        for row in rows
    ]  # fmt: skip
    return Table(("network", "ms a region", "ours prepared takes of it", "scores within, deviations"), tuple(cells))


def _peer(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("dvsnet_peer_deeplab_fast", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise InputError(f"{path}: needs PyTorch ({error}); pip install 'dvsnet-jax[import]'") from error
    return module
