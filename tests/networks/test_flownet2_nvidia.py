"""NVIDIA's flownet2-pytorch: its files, its names, and the flows of its networks."""

from __future__ import annotations

import dataclasses
import re
import zlib

import jax
import numpy as np
import pytest

from dvsnet_jax.checkpoints.foreign.nvidia import from_nvidia, nvidia_name, read_nvidia
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.errors import InputError
from dvsnet_jax.flow import abstract_flow_params, estimate_flow
from dvsnet_jax.flownet_config import FLOWNET2_TF, NVIDIA, FlowConvention, FlowNet2Config
from dvsnet_jax.networks.flownet.flownet2 import pair_flow

MODELS = {
    "FlowNet2S": "FlowNetS", "FlowNet2C": "FlowNetC", "FlowNet2SD": "FlowNetSD",
    "FlowNet2CS": "FlowNetCS", "FlowNet2CSS": "FlowNetCSS", "FlowNet2": "FlowNet2",
}  # fmt: skip
TOLERANCES = {"FlowNet2": 2e-3, "FlowNet2CS": 1e-3, "FlowNet2CSS": 1e-3}
"""Pixels, as the goldens' README suggests (twice as much for `.acT`, which is not needed); 1e-4 for the others."""
CROPS = {
    "a": [(0, 0, 256, 320)],
    "b": [(64, 128, 128 + 64, 256)],
    "c": [(0, 0, 64, 128), (160, 352, 64, 128)],
}
"""Case → top, left, height, width of each pair of the batch."""
OLD_TORCH = dataclasses.replace(NVIDIA, enlarging="align_corners")


def seeded(name: str, shape: list[int]) -> np.ndarray:
    """The goldens' rule for one tensor, in torch's layout."""
    w = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith(".bias"):
        return (0.05 * w).astype(np.float32)
    transposed = "deconv" in name or "upsampled_flow" in name
    fan = shape[0] * shape[2] * shape[3] / 4 if transposed else shape[1] * shape[2] * shape[3]
    gain = 150.0 if name == "flownets_d.predict_flow2.weight" else 1.0
    return (w * np.sqrt(2 / fan) * gain).astype(np.float32)


def config_of(model: str, convention: FlowConvention = NVIDIA) -> FlowNet2Config:
    return FlowNet2Config(network=MODELS[model], convention=convention)


@pytest.fixture(scope="module")
def params_of(goldens):
    """Model → its parameters. The names of CS and CSS are among FlowNet2's, so one drawing would do for all three; but
    drawing is quick and FlowNet2 is left to the slow tests."""
    shapes = goldens.json("flownet2_nvidia/variables")
    made: dict[str, dict] = {}

    def get(model: str) -> dict:
        if model not in made:
            made.clear()  # one at a time: FlowNet2's are 650 MB
            state = {name: seeded(name, shape) for name, shape in shapes[model].items()}
            made[model] = from_nvidia(state, config_of(model))
        return made[model]

    return get


def pair(goldens, case: str) -> tuple[np.ndarray, np.ndarray]:
    frames = [goldens.image(f"e2e/frame_00000{i}") for i in (3, 4)]
    return tuple(np.stack([f[y : y + h, x : x + w] for y, x, h, w in CROPS[case]]) for f in frames)


def stored(array: np.ndarray, what: str) -> np.ndarray:
    """NHWC → NCHW, and the slice of it that the golden file keeps ('[:, ::8, ::4, ::4]', or just '[:, ::8]')."""
    array = np.asarray(array).transpose(0, 3, 1, 2)
    if what == "full":
        return array
    parts = [[int(n) if n.strip() else None for n in axis.split(":")] for axis in what[1:-1].split(",")]
    return array[tuple(slice(*part) for part in parts)]


def border(array: np.ndarray, what: str) -> np.ndarray:
    x = np.asarray(array).transpose(0, 3, 1, 2)
    return np.concatenate([x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]], axis=-1)


def intermediate(key: str, model: str) -> str:
    """Where among our intermediates a golden array's tensor is."""
    scopes = {
        "flownetc": "FlowNetCSS/FlowNetCS/FlowNetC/", "flownets_1": "FlowNetCSS/FlowNetCS/FlowNetS/",
        "flownets_2": "FlowNetCSS/FlowNetS/", "flownets_d": "FlowNetSD/", "flownetfusion": "",
    }  # fmt: skip
    fixed = {
        "x": "images", "warp1": "FlowNetCSS/FlowNetCS/warped", "concat1": "FlowNetCSS/FlowNetCS/stacked",
        "warp2": "FlowNetCSS/warped", "concat2": "FlowNetCSS/stacked", "warp_sd": "warped_sd",
        "warp_s2": "warped_css", "concat3": "fusion_input",
        "corr": "correlation" if model == "FlowNet2C" else "FlowNetCSS/FlowNetCS/FlowNetC/correlation",
    }  # fmt: skip
    prefix, _, layer = key.rpartition(".")
    if key in fixed:
        name = fixed[key]
    else:
        layer = re.sub(r"upsampled_flow(\d)_to_(\d)", r"upsample_flow\1to\2", layer).replace("inter_conv", "interconv")
        layer = re.sub(r"conv(\d)_img(\d)", lambda m: f"conv_{'ab'[int(m[2])]}_{m[1]}", layer)
        if prefix == "flownetfusion" and not layer.startswith("predict_flow"):
            layer = f"fuse_{layer}"
        name = scopes.get(prefix, "") + layer
    # Within FlowNetCSS or FlowNetCS alone the path begins further in.
    return name.removeprefix({"FlowNet2CSS": "FlowNetCSS/", "FlowNet2CS": "FlowNetCSS/FlowNetCS/"}.get(model, "-"))


LIGHT = [("FlowNet2C", "c"), ("FlowNet2SD", "c")]  # FlowNetS: test_flownet2_goldens
HEAVY = [(model, case) for model in MODELS for case in CROPS if (model, case) not in LIGHT]


@pytest.mark.parametrize(("model", "case"), [*LIGHT, *(pytest.param(*each, marks=pytest.mark.slow) for each in HEAVY)])
@pytest.mark.parametrize("old_torch", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["", "acT"])
def test_parity(goldens, params_of, model, case, old_torch):
    arrays, about = goldens.arrays(f"flownet2_nvidia/{model}"), goldens.json(f"flownet2_nvidia/{model}")
    config = config_of(model, OLD_TORCH if old_torch else NVIDIA)
    first, second = pair(goldens, case)
    flow, seen = jax.jit(pair_flow, static_argnums=3)(params_of(model), first, second, config)

    start = f"{case}.acT." if old_torch else f"{case}."
    keys = [key for key in arrays if key.startswith(start) and old_torch == (".acT." in key) and "rgb_mean" not in key]
    assert f"{start}flow" in keys
    for key in keys:
        name, what = key.removeprefix(start), about[key]["stored"]
        if name == "flow":
            tolerance = TOLERANCES.get(model, 1e-4)
            ours = stored(flow, what)
        else:
            # A tenth, relative to the greatest value: the deeper in the stack, the more roundings add up, and a warp
            # makes colours of the flow's error in pixels.
            tolerance = 0.1 * TOLERANCES.get(model, 1e-4) * max(1.0, about[key]["absmax"])
            cut = border if name.endswith("_border") else stored
            ours = cut(seen[intermediate(name.removesuffix("_border"), model)], what)
        error = np.abs(ours - arrays[key]).max()
        assert error <= tolerance, f"{key}: {error:.2e} of {about[key]['absmax']:.3g}"


def test_correlation_of_both_signs(goldens, params_of):
    """conv3 changed so that some correlations are negative: only here does the LeakyReLU after them show."""
    arrays = goldens.arrays("flownet2_nvidia/FlowNet2C_corrsign")
    params = jax.tree.map(lambda x: x, params_of("FlowNet2C"))
    conv3 = params["FlowNetC"]["conv3"]
    for name in ("weights", "biases"):
        conv3[name] = conv3[name] * (np.arange(256) < 2) * 30.0
    flow, seen = jax.jit(pair_flow, static_argnums=3)(params, *pair(goldens, "b"), config_of("FlowNet2C"))
    np.testing.assert_allclose(stored(seen["correlation"], "[:, ::5, ::2, ::2]"), arrays["b.corr"], atol=2e-5)
    assert (arrays["b.corr"] < 0).mean() > 0.05
    np.testing.assert_allclose(stored(seen["predict_flow2"], "full"), arrays["b.predict_flow2"], atol=2e-5)
    np.testing.assert_allclose(stored(flow, "[:, :, ::3, ::3]"), arrays["b.flow"], atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_names_follow_nvidias(goldens, model):
    theirs = goldens.json("flownet2_nvidia/variables")[model]
    table = goldens.json("flownet2_nvidia/tf_names")[model]
    ours = flatten(abstract_flow_params(config_of(model)))
    names = {nvidia_name(name): name for name in ours}
    assert set(names) == set(theirs)
    for name, shape in theirs.items():
        assert table[name] in (None, names[name])
        transposed = [shape[i] for i in (2, 3, 1, 0)] if len(shape) == 4 else shape
        assert list(ours[names[name]].shape) == transposed


TINY = FlowNet2Config(network="FlowNetCSS", convention=NVIDIA, width=1 / 16)


def tiny_state() -> dict[str, np.ndarray]:
    shapes = {nvidia_name(name): leaf.shape for name, leaf in flatten(abstract_flow_params(TINY)).items()}
    return {n: seeded(n, [s[i] for i in (3, 2, 0, 1)] if len(s) == 4 else list(s)) for n, s in shapes.items()}


def test_imports_and_transposes():
    state = tiny_state()
    params = from_nvidia(state, TINY)["FlowNetCSS"]
    deconv = params["FlowNetCS"]["FlowNetC"]["deconv5"]["weights"]
    np.testing.assert_array_equal(deconv, state["flownetc.deconv5.0.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(params["FlowNetS"]["predict_flow2"]["biases"], state["flownets_2.predict_flow2.bias"])
    images = np.zeros((1, 64, 64, 3), np.uint8), np.full((1, 64, 64, 3), 9, np.uint8)
    assert np.isfinite(estimate_flow({"FlowNetCSS": params}, *images, config=TINY)).all()


def test_refuses_what_does_not_match():
    state = tiny_state()
    state["module.conv1.0.weight"] = state.pop("flownetc.conv1.0.weight")
    state["flownets_1.conv2.0.bias"] = np.zeros(3, np.float32)
    state["flownets_2.conv2.0.bias"] = np.full_like(state["flownets_2.conv2.0.bias"], np.nan)
    with pytest.raises(InputError) as caught:
        from_nvidia(state, TINY, source="x.pth.tar")
    message = str(caught.value)
    for part in (
        "x.pth.tar", "missing", "- FlowNetCSS/FlowNetCS/FlowNetC/conv1/weights", "unknown", "+ module.conv1.0.weight",
        "another shape", "+ flownets_1.conv2.0.bias [3]", "not finite", "flownets_2.conv2.0.bias",
    ):  # fmt: skip
        assert part in message


def test_refuses_another_network_or_convention():
    with pytest.raises(InputError, match="missing"):
        from_nvidia(tiny_state(), dataclasses.replace(TINY, network="FlowNet2"))
    with pytest.raises(InputError, match="unknown"):
        from_nvidia(tiny_state(), dataclasses.replace(TINY, network="FlowNetCS"))
    with pytest.raises(InputError, match=r"\+ flownetc.deconv5.0.bias"):
        from_nvidia(tiny_state(), dataclasses.replace(TINY, convention=FLOWNET2_TF))


@pytest.mark.parametrize("container", ["legacy", "zip", "legacy_py2"])
def test_reads_every_container(goldens, container):
    pytest.importorskip("torch")
    state = read_nvidia(goldens.path(f"flownet2_nvidia/tiny_{container}.pth.tar"))
    assert len(state) == 7
    for name, array in state.items():
        np.testing.assert_array_equal(array, seeded(name, list(array.shape)))
    assert state["flownetc.upsampled_flow6_to_5.weight"].dtype == np.float32
    with pytest.raises(InputError, match="missing"):
        from_nvidia(state, config_of("FlowNet2"))


@pytest.mark.parametrize("container", ["legacy", "zip", "legacy_py2"])
@pytest.mark.parametrize("kept", [0, 1, 40, 0.3, 0.9, 0.999])
def test_truncated_files(goldens, tmp_path, container, kept):
    pytest.importorskip("torch")
    whole = goldens.path(f"flownet2_nvidia/tiny_{container}.pth.tar").read_bytes()
    path = tmp_path / "cut.pth.tar"
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(InputError, match=r"cut\.pth\.tar"):
        read_nvidia(path)


@pytest.mark.parametrize("container", ["legacy", "zip", "legacy_py2"])
def test_files_with_wrong_bytes(goldens, tmp_path, container):
    """Either refused, or read: torch's older containers have no checksum for the numbers themselves."""
    pytest.importorskip("torch")
    whole = goldens.path(f"flownet2_nvidia/tiny_{container}.pth.tar").read_bytes()
    rng, path, refused = np.random.default_rng(0), tmp_path / "wrong.pth.tar", 0
    for _ in range(40):
        wrong = bytearray(whole)
        wrong[rng.integers(min(len(wrong), 1500))] = rng.integers(256)
        path.write_bytes(wrong)
        try:
            assert all(isinstance(array, np.ndarray) for array in read_nvidia(path).values())
        except InputError:
            refused += 1
    assert refused > 5


def test_files_that_are_something_else(tmp_path):
    torch = pytest.importorskip("torch")

    def file(content):
        path = tmp_path / "other.pth.tar"
        torch.save(content, path)
        return path

    with pytest.raises(InputError, match="no such file"):
        read_nvidia(tmp_path / "none.pth.tar")
    with pytest.raises(InputError, match="no such file"):
        read_nvidia(tmp_path)
    (tmp_path / "text.pth.tar").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pth\.tar"):
        read_nvidia(tmp_path / "text.pth.tar")
    with pytest.raises(InputError, match="'state_dict'"):
        read_nvidia(file({"epoch": 3, "model": {}}))
    with pytest.raises(InputError, match="holds a list"):
        read_nvidia(file([1, 2]))
    with pytest.raises(InputError, match="empty"):
        read_nvidia(file({"state_dict": {}}))
    with pytest.raises(InputError, match="not all tensors: a"):
        read_nvidia(file({"state_dict": {"a": 1, "b": torch.zeros(2)}}))
    assert read_nvidia(file({"state_dict": {"b": torch.ones(2, dtype=torch.bfloat16)}}))["b"].dtype == np.float32


def test_never_runs_what_a_file_contains(tmp_path):
    import pickle

    pytest.importorskip("torch")

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    path = tmp_path / "harm.pth.tar"
    path.write_bytes(pickle.dumps({"state_dict": Harm()}, protocol=2))
    with pytest.raises(InputError, match="weights and plain values alone"):
        read_nvidia(path)
    assert not (tmp_path / "harmed").exists()
