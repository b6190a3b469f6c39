"""The parts of `check`, each in a process of its own: `python -m dvsnet_jax.benchmarks.device.parts SETTINGS`,
where SETTINGS is a JSON object (`Settings`). What a part finds is in the file `found` from the moment it is known.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.media.atomic import atomic_path

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.networks import Params, Precision

Keep = Callable[[str, Any], None]
"""Tells a finding by its name; later ones of the name replace it."""


@dataclass(frozen=True)
class Settings:
    """What a part is told."""

    part: str
    found: str
    """The file for what it finds."""
    began: float
    """When it was started, seconds since 1970."""
    small: bool = False
    repository: str | None = None

    @property
    def tests(self) -> Path:
        """The repository's folder of tests. Raises InputError where there is none."""
        place = Path(self.repository or ".") / "tests"
        if self.repository is None or not (place / "golden").is_dir():
            raise InputError(
                "the originals' outputs and the tests are in the repository; run eval/device_check.py there"
            )
        return place


def main(words: list[str]) -> int:
    """Runs a part; 0, or 1 where it failed, which is among what it found too."""
    settings = Settings(**json.loads(words[0]))
    found: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        found[name] = _plain(value)
        with atomic_path(settings.found) as temporary:
            temporary.write_text(json.dumps(found, allow_nan=False), "utf-8")

    try:
        _PARTS[settings.part](settings, keep)
    except Exception as error:
        keep("failure", first_line(error)[:500])
        if not isinstance(error, InputError):
            raise
        return 1
    return 0


def _device(settings: Settings, keep: Keep) -> None:
    """What is here, and two rates that everything else may be held against."""
    import jax

    device = jax.devices()[0]
    keep("jax", jax.__version__)
    keep("device", f"{len(jax.devices())} × {device.device_kind}, {device.platform}")
    keep("compiler", getattr(device.client, "platform_version", "").replace("\n", " ")[:200])
    keep("memory_bytes", (device.memory_stats() or {}).get("bytes_limit"))
    if not settings.small:
        from dvsnet_jax.benchmarks.frame_step import copy_rate, matmul_rate

        precisions: tuple[Precision, ...] = ("float32", "bfloat16")
        for precision in precisions:
            keep(f"matmul_{precision}_gflops", 2 * matmul_rate(precision) / 1e9)
        keep("copy_gb_s", copy_rate() / 1e9)


def _parity(settings: Settings, keep: Keep) -> None:
    """The warp and the whole step against the originals' outputs, then the step against this machine's CPU."""
    import jax
    import numpy as np

    from dvsnet_jax.ops.warp import warp

    beyond = []
    with jax.default_matmul_precision("highest"), np.load(settings.tests / "golden" / "warp.npz") as golden:
        cases = [[golden[f"case_{case}_{part}"] for part in ("key_pred", "flow", "out")] for case in "abc"]
        worst = max(float(np.abs(warp(values, flow) - expected).max()) for values, flow, expected in cases)
    keep("warp", {"largest difference": worst, "bound": 2e-5})
    beyond += ["warp"] * (worst > 2e-5)
    if not settings.small:
        for precision in ("highest", "default"):
            with jax.default_matmul_precision(None if precision == "default" else precision):
                differs = _against_the_original(settings.tests / "golden")
            keep(f"original, {precision} products", differs)
            if precision == "highest":
                beyond += ["original"] * (
                    differs["routes"] > 0 or differs["scores"] > 2e-3 or differs["labels in 20,000"] > 1
                )
    row = _against_the_cpu(settings)
    keep("cpu, default products", row)
    beyond += ["cpu"] * (row["labels"] < 0.97)
    if beyond:
        raise InputError(f"beyond what rounding explains: {', '.join(beyond)}")


def _against_the_original(golden: Path) -> dict[str, float]:
    """DeepLab-Fast and FlowNet2-s with the originals' seeded weights, over the frames that are here."""
    import jax
    import numpy as np

    from dvsnet_jax import checkpoints, networks
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.media.images import read_image
    from dvsnet_jax.video import init_state, segment_frame
    from dvsnet_jax.visualize import label_palette

    config = DVSNetConfig.cityscapes(overlap=32)
    params = networks.prepare(checkpoints.seeded_params(config), config)
    said = json.loads((golden / "e2e_ov32" / "steps.json").read_text("utf-8"))
    palette, state = label_palette(19, "original"), None
    routes, scores, labels = 0, 0.0, 0.0
    for index, (name, step) in enumerate(zip(said["frames"], said["steps"], strict=False)):
        mask = golden / "e2e_ov32" / f"mask{index}.png"
        if not mask.exists():
            break
        frames = read_image(golden / "frames" / "e2e" / name)[None]
        state = init_state(params, frames, config=config) if state is None else state
        state, result = segment_frame(params, state, frames, config=config)
        result = jax.device_get(result)
        routes += int((result.segmented[0] != [route == "seg" for route in step["routes"]]).sum())
        if index:
            scores = max(scores, float(np.abs(result.scores[0] - step["pred_scores"]).max()))
        labels = max(labels, float((palette[result.labels[0]] != read_image(mask)).any(-1).mean()))
    return {"routes": routes, "scores": scores, "labels in 20,000": 20_000 * labels}


def _against_the_cpu(settings: Settings) -> dict[str, float]:
    """The same clip on the device and on this machine's CPU, float32: shares of equal labels and routes, the largest
    difference of scores."""
    import jax
    import numpy as np

    from dvsnet_jax.benchmarks.exported_program import read_clip, run_directly

    params, config = _street(settings)
    clip = read_clip(None, (64, 96) if settings.small else (192, 256), frames=3 if settings.small else 6)
    expected, got = (
        run_directly(params, config, clip, cpu=device) for device in (jax.devices("cpu")[0], jax.devices()[0])
    )
    return {
        "labels": float((got.labels == expected.labels).mean()),
        "scores": float(np.abs(got.scores - expected.scores)[1:].max()),
        "routes": float((got.segmented == expected.segmented).mean()),
    }


def _tests(settings: Settings, keep: Keep) -> None:
    """Those marked `gpu`, in a pytest of its own; how many passed, failed, were skipped (all, where there is none)."""
    import xml.etree.ElementTree

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}",
             str(settings.tests / "frame_step" / "test_gpu.py")],
            cwd=settings.repository, env={**os.environ, "DVSNET_TEST_GPU": "1"},
        )  # fmt: skip
        if not report.exists():
            raise InputError("pytest did not run; pip install '.[dev]' in the repository")
        suite = next(xml.etree.ElementTree.parse(report).iter("testsuite")).attrib
    counts = {name: int(suite[name]) for name in ("tests", "failures", "errors", "skipped")}
    missed = counts["failures"] + counts["errors"]
    keep(
        "gpu", {"passed": counts["tests"] - missed - counts["skipped"], "failed": missed, "skipped": counts["skipped"]}
    )
    if done.returncode:
        raise InputError(f"{missed} of {counts['tests']} tests failed")


def _speed(settings: Settings, keep: Keep, *, cityscapes: bool) -> None:
    """The step by regions segmented, one stream and eight."""
    from dvsnet_jax.benchmarks.frame_step import Form, time_frame_step

    for streams in (1, 2) if settings.small else (1, 8):
        params, config = _cityscapes(settings) if cityscapes else _street(settings)
        height, width = _size(settings, cityscapes=cityscapes)
        form = Form(precision="bfloat16" if cityscapes else "float32", streams=streams)
        rows = time_frame_step(
            params, config, height=height, width=width, repeats=1 if settings.small else 5, forms=[form],
            every_frame=True,
        )  # fmt: skip
        keep(f"ms at none and all of {height}×{width}, {form}", [
            round(1e3 * row.median, 3) for row in rows if row.segmented in (0, row.regions)
        ])  # fmt: skip
        keep(f"rows, {form}", [row.as_json() for row in rows])


def _files(settings: Settings, keep: Keep) -> None:
    """From PNGs to label PNGs, and each stage alone."""
    from dvsnet_jax import checkpoints
    from dvsnet_jax.benchmarks.end_to_end import time_inputs
    from dvsnet_jax.benchmarks.exported_program import read_clip
    from dvsnet_jax.media.images import resize_image, write_png
    from dvsnet_jax.policies import FixedInterval

    count = 3 if settings.small else 24
    drawn = read_clip(None, (64, 96) if settings.small else (360, 480), frames=count)[:, 0]
    street = _street(settings) if settings.small else checkpoints.load_bundled("carried")
    cases: list[tuple[str, Params, DVSNetConfig, Precision, bool]] = [("street", *street, "float32", False)]
    if not settings.small:
        cases.append(("cityscapes", *_cityscapes(settings), "bfloat16", True))
    for name, params, config, precision, cityscapes in cases:
        with tempfile.TemporaryDirectory() as folder:
            for index, image in enumerate(drawn):
                write_png(
                    Path(folder) / f"{index:06d}.png", resize_image(image, _size(settings, cityscapes=cityscapes))
                )
            (row,) = time_inputs(
                params, config.replace(policy=FixedInterval(10)), [folder], precision=precision,
                repeats=1 if settings.small else 3,
            )  # fmt: skip
        keep(
            name, {"frames/s": row.frames / row.whole, "every frame segmented, frames/s": row.frames / row.every_frame}
        )
        keep(f"rows, {name}", [row.as_json()])


def _devices(settings: Settings, keep: Keep) -> None:
    """One clip with its regions dealt out over as many devices as go round, held against one of them."""
    import jax
    import numpy as np

    from dvsnet_jax.benchmarks.exported_program import read_clip
    from dvsnet_jax.inference.segment_source import Segmenter
    from dvsnet_jax.policies import FixedInterval

    params, config = _street(settings)
    here = jax.devices()
    count = max(count for count in range(1, len(here) + 1) if config.num_regions % count == 0)
    keep("devices", f"{count} of {len(here)}")
    if count == 1:  # nothing to compare
        return
    size = _size(settings, cityscapes=False)
    clip = read_clip(None, size, frames=3 if settings.small else 10)
    labels: dict[int, list[Any]] = {1: [], count: []}
    for devices in labels:
        segmenter = Segmenter(params, config.replace(policy=FixedInterval(2)), devices=here[:devices])
        state, step = segmenter.start(*size)
        seconds = []
        for frames in clip:
            began = time.perf_counter()
            state, result = step(segmenter.params, state, frames)
            labels[devices].append(np.asarray(result.labels))
            seconds.append(time.perf_counter() - began)
        keep(f"ms a frame, {devices}", 1e3 * float(np.median(seconds[1:])))
    equal = float((np.stack(labels[count]) == np.stack(labels[1])).mean())
    keep("equal labels", equal)
    if equal < 0.97:
        raise InputError(f"{count} devices give other labels than one at {1 - equal:.1%} of the pixels")


def _start(settings: Settings, keep: Keep, *, precision: Precision = "float32") -> None:
    """Seconds from the start of the process: modules, weights, a compiled step, the first frame, the second."""
    import numpy as np

    from dvsnet_jax.inference.segment_source import Segmenter

    def passed(name: str) -> None:
        keep(name, time.time() - settings.began)

    height, width = _size(settings, cityscapes=False)
    passed("imported")
    segmenter = Segmenter(*_street(settings), precision=precision)
    passed("weights loaded")
    state, step = segmenter.start(height, width)
    passed("compiled")
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    for name in ("first frame", "second frame"):
        state, result = step(segmenter.params, state, frames)
        np.asarray(result.labels)
        passed(name)


def _street(settings: Settings) -> tuple[Params, DVSNetConfig]:
    """The bundled weights with the flow network; small, tiny networks with seeded ones."""
    from dvsnet_jax import checkpoints

    return _cityscapes(settings) if settings.small else checkpoints.load_bundled()


def _cityscapes(settings: Settings) -> tuple[Params, DVSNetConfig]:
    from dvsnet_jax import checkpoints
    from dvsnet_jax.config import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig

    config = DVSNetConfig.cityscapes()
    if settings.small:
        config = config.replace(
            segmentation=DeepLabFastConfig(num_classes=5, blocks=(1, 1, 1, 1), width=4, head_width=8),
            flow=FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 8)),
            decision=DecisionConfig(conv_width=4, hidden=(8, 8, 4)),
            overlap=16,
        )
    return checkpoints.seeded_params(config), config


def _size(settings: Settings, *, cityscapes: bool) -> tuple[int, int]:
    """Height and width of frames."""
    return (64, 96) if settings.small else (1024, 2048) if cityscapes else (360, 480)


def _plain(value: Any) -> Any:
    """As JSON has it, which knows no NaN."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PARTS: dict[str, Callable[[Settings, Keep], None]] = {
    "device": _device,
    "parity": _parity,
    "tests": _tests,
    "speed cityscapes": lambda settings, keep: _speed(settings, keep, cityscapes=True),
    "speed street": lambda settings, keep: _speed(settings, keep, cityscapes=False),
    "files": _files,
    "devices": _devices,
    "start": _start,
    "start again": _start,
    "start bfloat16": lambda settings, keep: _start(settings, keep, precision="bfloat16"),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
