"""Exported programs: the file, what is refused, and the same numbers without the networks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video
from tiny_files import check_whole, clip, compile_once, weights, write_images  # noqa: F401

from dvsnet_jax import (
    Budget,
    DVSNetConfig,
    ExpectedConfidence,
    FrameRate,
    SegmentationFunction,
    init_state,
    networks,
    prepare,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.config_json import from_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.export import export_program
from dvsnet_jax.export.custom_calls import cannot_run, custom_calls, operations
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.networks.layers import gpu_order
from dvsnet_jax.program import load_program
from dvsnet_jax.program.container import PROGRAM, read_container, write_container
from dvsnet_jax.program.running import Program, place_weights

CONFIG = TINY.replace(policy=ExpectedConfidence(50.0))
SIZE = {"height": 64, "width": 96}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The tiny network for all three platforms and any number of streams."""
    path = tmp_path_factory.mktemp("export") / "tiny.dvsnet"
    export_program(path, tiny_params(), CONFIG, **SIZE)
    return path


def assert_equal_to_direct(path, params, config, frames, restarts=None):
    """Every frame's result and the last state, bit for bit; returns the routes `[time, streams, regions]`."""
    program = load_program(path)
    streams = frames.shape[1]
    params = prepare(params, config)
    state, named, routes = init_state(params, frames[0], config=config), program.init_state(streams), []
    for time, frame in enumerate(frames):
        restart = np.zeros(streams, bool) if restarts is None else restarts[time]
        state, expected = segment_frame(params, state, frame, restart, config=config)
        named, result = program.step(named, frame, restart)
        for got, wanted in zip(result, expected, strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)
        routes.append(np.asarray(result.segmented))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    assert len(named) == len(leaves)
    for path, wanted in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        np.testing.assert_array_equal(named[name], wanted, err_msg=name)
    return np.stack(routes)


def test_the_same_numbers_as_the_direct_call(exported):
    routes = assert_equal_to_direct(exported, tiny_params(), CONFIG, video(6))
    assert routes[0].all() and 0 < routes[1:].mean() < 1


def test_any_number_of_streams_each_of_which_can_restart(exported):
    restarts = np.zeros((5, 3), bool)
    restarts[3, 1] = True
    routes = assert_equal_to_direct(exported, tiny_params(), CONFIG, video(5, 3), restarts)
    assert routes[3, 1].all() and not routes[3, [0, 2]].all()


def test_frames_that_do_not_fit_are_refused(exported):
    program = load_program(exported)
    state = program.init_state(2)
    for frames, says in (
        (np.zeros((2, 64, 95, 3), np.uint8), r"frames are uint8\[2, 64, 95, 3\]; the program takes .* --size"),
        (np.zeros((2, 64, 96, 3), np.float32), r"frames are float32\[2, 64, 96, 3\]; the program takes uint8"),
        (np.zeros((3, 64, 96, 3), np.uint8), "the state is for 2 streams, but there are 3 frames"),
    ):
        with pytest.raises(ValueError, match=says):
            program.step(state, frames)
    with pytest.raises(ValueError, match=r"^is 96×64; the program takes .*frames of 64×96"):
        program.start(96, 64)


def test_a_started_program_steps_as_the_direct_call(exported):
    """As `segment_source` steps it: compiled once, whatever the number of videos."""
    program = load_program(exported)
    frames = video(3)
    state, step = program.start(64, 96)
    compiled, named = program._compiled, program.init_state()
    for frame in frames:
        state, result = step(program.params, state, frame)
        named, expected = program.step(named, frame)
        jax.tree.map(np.testing.assert_array_equal, result, expected)
    program.start(64, 96)
    assert program._compiled is compiled


def test_own_network_and_policy_travel_along(tmp_path):
    @dataclass(frozen=True)
    class EverySecond:
        def init(self, regions):
            return {"count": jnp.full(regions, 3, jnp.int32)}

        def decide(self, state, evidence):
            return state["count"] % 2 == 0, {"count": state["count"] + 1}

        def targets(self, state):
            return state["count"].astype(jnp.float32)

    def nearest_colour(params, images):
        return -jnp.abs(images[:, ::8, ::8, None] - params[0]["colours"]).sum(-1)

    own = DVSNetConfig(
        segmentation=SegmentationFunction(function=nearest_colour, num_classes=3),
        flow=TINY.flow,
        decision=TINY.decision,
        overlap=16,
        policy=EverySecond(),
    )
    params = networks.init_params(jax.random.key(0), own) | {"segmentation": [{"colours": 255 * jnp.eye(3)}]}
    path = tmp_path / "own.dvsnet"
    export_program(path, params, own, **SIZE, platforms=["cpu", "tpu"], streams=2, classes=["red", "green", "blue"])
    routes = assert_equal_to_direct(path, params, own, video(4, 2))
    assert routes[:, 0, 0].tolist() == [True, False, True, False]

    program = load_program(path)
    assert [entry["name"] for entry in program.manifest["classes"]] == ["red", "green", "blue"]
    assert program.manifest["policy"] == {"type": "EverySecond"}
    with pytest.raises(ValueError, match="program is for 2; export it with --streams 1"):
        program.init_state(1)


def test_bfloat16_weights_come_back(tmp_path):
    path = tmp_path / "half.dvsnet"
    export_program(path, tiny_params(), CONFIG, **SIZE, platforms=["cpu"], streams=1, precision="bfloat16")
    manifest, _, arrays = read_container(path)
    expected = prepare(tiny_params(), CONFIG, precision="bfloat16")["segmentation"]["conv1"]["weights"]
    assert manifest["precision"] == "bfloat16" and expected.dtype == jnp.bfloat16
    np.testing.assert_array_equal(arrays["segmentation/conv1/weights"], expected)
    load_program(path)


def test_kernels_lie_on_a_gpu_as_the_prepared_ones_do(exported):
    manifest, parts, arrays = read_container(exported)
    laid = place_weights(arrays, manifest, "gpu")  # the CPU can hold them so, too
    for name, array in place_weights(arrays, manifest, "cpu").items():
        order = gpu_order(array.shape) or tuple(range(array.ndim))
        assert laid[name].format.layout.major_to_minor == order, name
        assert array.format.layout.major_to_minor == tuple(range(array.ndim))
        np.testing.assert_array_equal(laid[name], array)
    assert sum("gpu_order" in said for said in manifest["inputs"]["weights"].values()) > 5
    program, (frame, *_) = Program(manifest, jax.export.deserialize(bytearray(parts[PROGRAM])), laid), video(1)
    plain = load_program(exported)
    results = (each.step(each.init_state(1), frame)[1] for each in (program, plain))
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(got, wanted)
    no_axes = {"inputs": {"weights": {"flow/conv2/weights": {"shape": [5, 5, 4, 8], "gpu_order": [3, 0, 1, 1]}}}}
    with pytest.raises(InputError, match=r"conv2/weights has the shape \[5, 5, 4, 8\], .* \[3, 0, 1, 1\]; export it"):
        place_weights(arrays, no_axes, "gpu")


def test_a_network_of_ones_own_lies_as_it_is():
    """Whatever its arrays look like: what reads them is not known."""

    def nothing(params, images):
        return jnp.zeros((*images[:, ::8, ::8].shape[:3], 5))

    own = SegmentationFunction(function=nothing, num_classes=5)
    params = {**tiny_params(), "segmentation": {"kernel": jnp.ones((3, 3, 64, 64))}}
    step = named_step(params, CONFIG.replace(segmentation=own), 64, 96, platforms=["cuda"])
    assert step.gpu_orders and "segmentation/kernel" not in step.gpu_orders


def test_one_file_for_all_platforms_that_says_what_it_is(exported):
    program = load_program(exported)
    manifest = program.manifest
    assert manifest["platforms"] == ["cpu", "cuda", "tpu"] and manifest["streams"] is None
    assert manifest["chunk"] == {"cpu": 1, "cuda": 4, "tpu": 4}
    assert manifest["versions"]["jax"] == jax.__version__
    assert manifest["policy"] == {"type": "ExpectedConfidence", "target": 50.0}
    assert manifest["inputs"]["state"]["key_images"] == {"shape": ["4*streams", 24, 32, 3], "dtype": "uint8"}
    assert manifest["outputs"]["result"]["labels"] == {"shape": ["streams", 64, 96], "dtype": "uint8"}
    assert manifest["outputs"]["state"] == manifest["inputs"]["state"]
    assert program.regions == (2, 2) and program.num_classes == 5 and program.frame_size == (64, 96)
    assert program.overlap == CONFIG.overlap == 16  # by which overlays outline the regions where they are
    assert program.palette[:2].tolist() == [[128, 64, 128], [244, 35, 232]] and not program.palette[255].any()
    with zipfile.ZipFile(exported) as archive:  # whoever has zip, numpy and jax needs nothing of ours
        config = from_json(json.loads(archive.read("config.json")))
        plain = jax.export.deserialize(bytearray(archive.read(PROGRAM)))
        assert archive.namelist()[2:] == list(manifest["parts"])
    assert config == CONFIG and plain.platforms == ("cpu", "cuda", "tpu")
    with np.load(exported) as arrays:
        assert arrays["weights/flow/conv1/weights"].shape == (7, 7, 6, 4)


def test_equal_programs_are_equal_bytes_without_a_path_of_this_machine(tmp_path):
    files = [tmp_path / "first.dvsnet", tmp_path / "second.dvsnet"]
    for file in files:
        export_program(file, tiny_params(), CONFIG, **SIZE, platforms=["cpu"], streams=1)
    assert files[0].read_bytes() == files[1].read_bytes()
    program = read_container(files[0])[1][PROGRAM]
    assert b".py" not in program and b"segmentation/" in program


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_truncated_file_is_refused(exported, tmp_path, share):
    content = exported.read_bytes()
    (tmp_path / "cut.dvsnet").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"cut\.dvsnet: is no exported program, or is damaged or truncated"):
        load_program(tmp_path / "cut.dvsnet")


@pytest.mark.parametrize("part", ["manifest.json", "program.bin", "config.json", "weights/flow/conv1/weights.npy"])
def test_a_flipped_bit_is_refused(exported, tmp_path, part):
    content = bytearray(exported.read_bytes())
    with zipfile.ZipFile(exported) as archive:
        entry = archive.getinfo(part)
    content[entry.header_offset + 30 + len(part) + entry.file_size // 2] ^= 4
    (tmp_path / "bit.dvsnet").write_bytes(content)
    with pytest.raises(InputError, match=f"damaged.*{part}"):
        load_program(tmp_path / "bit.dvsnet")


def tampered(exported: Path, path: Path, change) -> Path:
    """The file with `change` made to its parts and written as a zip whose own sums are right."""
    with zipfile.ZipFile(exported) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def seal(parts, manifest: bytes) -> None:
    parts.update({"manifest.json": manifest, "manifest.sha256": hashlib.sha256(manifest).hexdigest().encode()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts.update({PROGRAM: parts[PROGRAM][:-1] + b"x"}), r"program\.bin has \d+ bytes with SHA-256"),
        (lambda parts: parts.update({"config.json": b"{}"}), r"config\.json has 2 bytes"),
        (lambda parts: parts.pop("config.json"), r"config\.json is missing"),
        (lambda parts: parts.update({"more": b""}), "more is missing or too much"),
        (lambda parts: parts.update({"manifest.json": parts["manifest.json"].replace(b"50.0", b"10.0")}),
         r"manifest\.json is not as written"),
        (lambda parts: parts.pop("manifest.json"), r"has no manifest\.json"),
        (lambda parts: seal(parts, b"[1]"), r"its manifest\.json is none of a dvsnet_jax program \(TypeError"),
        (lambda parts: seal(parts, b"{"), r"its manifest\.json is none of a dvsnet_jax program \(JSONDecodeError"),
        (lambda parts: seal(parts, parts["manifest.json"].replace(b'"float32"', b'"float64"')),
         r"weight \S+ is float32\[.*\], expected float64\["),
    ],
)  # fmt: skip
def test_a_changed_part_is_refused(exported, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_program(tampered(exported, tmp_path / "changed.dvsnet", change))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("no program")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="text: is no exported program"):
        load_program(tmp_path / "text")
    with pytest.raises(InputError, match="is no exported program, it has no manifest"):
        load_program(tmp_path / "arrays.npz")
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        load_program(tmp_path / "nowhere")
    for place in ("text", "arrays.npz", "."):  # and not written over
        with pytest.raises(InputError, match="choose another path"):
            export_program(tmp_path / place, tiny_params(), CONFIG, **SIZE)
    assert (tmp_path / "text").read_text() == "no program"


def test_a_program_that_cannot_be_written_leaves_the_old_one(exported, tmp_path, monkeypatch):
    path = tmp_path / "tiny.dvsnet"
    path.write_bytes(exported.read_bytes())

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    manifest, parts, arrays = read_container(exported)
    with pytest.raises(InputError, match="No space left"):
        write_container(path, manifest, parts, arrays)
    assert path.read_bytes() == exported.read_bytes() and [*tmp_path.iterdir()] == [path]


# --- versions and platforms -------------------------------------------------------------------------------------------


def rewritten(exported: Path, path: Path, *, program: bytes | None = None, **changes) -> Path:
    """A file whose sums are right, but whose manifest says something else."""
    manifest, parts, arrays = read_container(exported)
    if program is not None:
        parts[PROGRAM] = program
    write_container(path, {**manifest, **changes}, parts, arrays)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "program of version 3, and this dvsnet-jax reads up to 2; upgrade"),
        ({"version": 1}, "program of version 1, whose results do not say what cannot be trusted, .*; export it again"),
        ({"format": "other"}, "is none of a dvsnet_jax program"),
        ({"calling_convention_version": 99}, r"jax [\d.]+ with calling convention 99, .* runs \d+ to \d+; upgrade jax"),
        ({"calling_convention_version": 1}, "calling convention 1, .* export it again"),
        ({"platforms": ["cuda", "tpu"]}, "program for cuda, tpu, but jax runs on cpu here; .*--platforms cuda,tpu,cpu"),
        ({"platforms": ["cpu"]}, "its manifest says .* but its program is"),
        ({"program": b"no flatbuffer at all"}, "this jax .* cannot read it"),
        ({"classes": None}, "manifest lacks something"),
        ({"version": "new"}, "is none of a dvsnet_jax program, but of 'dvsnet_jax program', version 'new'"),
    ],
)
def test_versions_and_platforms_are_checked(exported, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_program(rewritten(exported, tmp_path / "other.dvsnet", **changes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platforms": ["gpu"]}, "'gpu' is not one of cpu, cuda, rocm, tpu; an NVIDIA GPU is cuda"),
        ({"platforms": []}, "platforms are none"),
        ({"platforms": ["cpu", "cpu"]}, "name each once"),
        ({"height": 32}, "the smallest that can be segmented are 64×64"),
        ({"classes": ["one"]}, "1 names of classes, but the network has 5"),
    ],
)
def test_what_cannot_be_exported_is_told(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export_program(tmp_path / "x.dvsnet", tiny_params(), CONFIG, **{**SIZE, **options})
    assert not [*tmp_path.iterdir()]


def test_regions_of_nothing_but_padding_are_not_exported(tmp_path):
    odd = CONFIG.replace(regions=(6, 2), overlap=0)
    with pytest.raises(InputError, match=r"112×96 frames in 6×2 regions are too many .* use 4×2"):
        export_program(tmp_path / "x.dvsnet", tiny_params(), odd, height=112, width=96)
    assert not [*tmp_path.iterdir()]


# --- custom calls -----------------------------------------------------------------------------------------------------


def with_network(function) -> tuple[dict, DVSNetConfig]:
    own = TINY.replace(segmentation=SegmentationFunction(function=function, num_classes=5))
    params = networks.init_params(jax.random.key(0), own)
    return {**params, "segmentation": {}}, own


def test_a_custom_call_is_refused_by_name(tmp_path):
    def calls_python(params, images):
        shape = jax.ShapeDtypeStruct((images.shape[0], 4, 6, 5), jnp.float32)
        return jax.pure_callback(lambda x: np.zeros(shape.shape, np.float32), shape, images)

    def calls_a_library(params, images):
        return jax.ffi.ffi_call("my_segmenter", jax.ShapeDtypeStruct((images.shape[0], 4, 6, 5), jnp.float32))(images)

    for function, platform, name in (
        (calls_python, "cpu", "xla_ffi_python_cpu_callback"),
        (calls_a_library, "tpu", "my_segmenter"),
    ):
        params, own = with_network(function)
        with pytest.raises(InputError, match=f"{platform} cannot run the custom call {name}.*leave {platform} out"):
            export_program(tmp_path / "x.dvsnet", params, own, **SIZE, platforms=[platform], streams=1)
    assert not [*tmp_path.iterdir()]


def test_which_platform_runs_what():
    def text(platform):
        cholesky = jax.jit(jnp.linalg.cholesky).trace(jax.ShapeDtypeStruct((3, 3), jnp.float32))
        return cholesky.lower(lowering_platforms=(platform,)).as_text()

    assert custom_calls(text("cpu")) == {"lapack_spotrf_ffi": 1} and cannot_run(text("cpu"), "cpu") == []
    assert cannot_run(text("cpu"), "cuda") == cannot_run(text("cpu"), "tpu") == ["lapack_spotrf_ffi"]
    assert cannot_run(text("cuda"), "cuda") == [] and cannot_run(text("cuda"), "cpu") == ["cusolver_potrf_ffi"]
    assert operations(text("tpu"))["cholesky"] == 1 and "custom_call" not in operations(text("cpu"))


def test_a_network_that_needs_a_known_number_of_regions(tmp_path):
    def counts(params, images):
        return jnp.zeros((images.shape[0], 4, 6, 5)) + sum(images[n].mean() for n in range(len(images)))

    params, own = with_network(counts)
    own = own.replace(routing="dense")
    with pytest.raises(InputError, match=r"number of streams left open .* --streams 1"):
        export_program(tmp_path / "x.dvsnet", params, own, **SIZE, platforms=["cpu"])
    export_program(tmp_path / "x.dvsnet", params, own, **SIZE, platforms=["cpu"], streams=1)


# --- the command ------------------------------------------------------------------------------------------------------

_WITHOUT_NETWORKS = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "flax" or name in ("dvsnet_jax.networks", "dvsnet_jax.video", "dvsnet_jax.export"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Refuse())
from dvsnet_jax.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.usefixtures("compile_once")
def test_export_and_segment_without_the_networks(tmp_path, weights, capsys):  # noqa: F811
    frames = str(tmp_path / "drive")
    write_images(tmp_path / "drive", clip(5))
    options = ["--weights", weights, "--target", "50"]
    program = str(tmp_path / "tiny.dvsnet")
    assert main(["export", program, "--size", "64x96", "--streams", "1", *options]) == 0
    assert "for cpu, cuda, tpu, frames of 64×96, one stream" in capsys.readouterr().err
    assert main(["segment", frames, *options, "--out", str(tmp_path / "direct")]) == 0

    command = ["segment", frames, "--program", program, "--out", str(tmp_path / "program")]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_NETWORKS, *command],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = check_whole(tmp_path / "program")
    same = ["routes.jsonl", *(f"labels/{name}.png" for name in names), *(f"color/{name}.png" for name in names)]
    assert len(names) == 5
    for file in same:
        assert (tmp_path / "program" / file).read_bytes() == (tmp_path / "direct" / file).read_bytes(), file
    lines = (tmp_path / "program" / "routes.jsonl").read_text().splitlines()
    routes = [region["segmented"] for line in lines for region in json.loads(line)["regions"]]
    assert 4 < sum(routes) < 20
    # The hook refuses indeed: without a program the same process fails.
    refused = subprocess.run(
        [sys.executable, "-c", _WITHOUT_NETWORKS, "segment", frames, *options, "--out", str(tmp_path / "refused")],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and "is not here" in refused.stderr


@pytest.mark.usefixtures("compile_once")
def test_another_program_does_not_go_on_with_what_one_began(tmp_path, capsys):
    """The same weights, another policy: its frames would not go with those that are there."""
    write_images(tmp_path / "drive", clip(3))
    for name, target in (("one", 50.0), ("other", 60.0)):
        config = CONFIG.replace(policy=ExpectedConfidence(target))
        export_program(tmp_path / name, tiny_params(), config, platforms=["cpu"], streams=1, **SIZE)
    call = ["segment", str(tmp_path / "drive"), "--out", str(tmp_path / "out"), "--no-overlay", "--program"]
    assert main([*call, str(tmp_path / "one")]) == 0
    assert main([*call, str(tmp_path / "one"), "--resume"]) == 0
    capsys.readouterr()
    assert main([*call, str(tmp_path / "other"), "--resume"]) == 1
    assert "program: policy: target was 50.0 and is now 60.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["export", "OUT"], 2, "add --size"),
        (["export", "OUT.safetensors", "--size", "64x96"], 2, "called as weights are, .* add --format safetensors"),
        (["export", "gone/x.dvsnet", "--size", "64x96"], 1, "gone/x.dvsnet: there is no folder gone"),
        (["export", "OUT", "--size", "64x96", "--streams", "0"], 2, "any, or a number from 1 on"),
        (["export", "OUT", "--size", "64x96", "--platforms", "cpu,gpu"], 1, "'gpu' is not one of"),
        (["segment", "IN", "--program", "PROGRAM", "--target", "3"], 2, "--program holds its weights"),
        (["segment", "IN", "--program", "PROGRAM", "--weights", "w"], 2, "--program holds its weights"),
        (["segment", "IN", "--program", "PROGRAM", "--precision", "bfloat16"], 2, "--program holds its weights"),
        (["segment", "IN", "--program", "nowhere"], 1, "nowhere: cannot be read"),
        (["segment", "IN", "--program", "PROGRAM", "--motion", "network"], 2, "was exported for --motion paper"),
        (["segment", "IN", "--program", "PROGRAM", "--motion", "dis"], 2, "for --motion paper; .* that carry motion"),
        (["segment", "IN", "--program", "PROGRAM"], 1, r"street_000\.png: is 80×96; the program takes .* 64, 96, 3"),
    ],
)
def test_wrong_use(tmp_path, exported, capsys, arguments, status, message):
    write_images(tmp_path / "in", clip(1, height=80))
    places = {"OUT": tmp_path / "x", "IN": tmp_path / "in", "PROGRAM": exported}
    more = ["--out", str(tmp_path / "out")] if arguments[0] == "segment" else []
    assert main([str(places.get(argument, argument)) for argument in arguments] + more) == status
    assert re.search(message, capsys.readouterr().err.replace("\n", " "))


def test_every_policy_starts_from_zeros():
    """`Program.init_state` makes zeros whatever the policy's own first state is."""
    config = TINY.replace(policy=Budget(0.3))
    params = prepare(tiny_params(), config)
    frames = video(1)[0]
    state = init_state(params, frames, config=config)
    zeros = jax.tree.map(jnp.zeros_like, state)
    assert np.asarray(state.policy.limit).all()
    first, _ = segment_frame(params, state, frames, config=config)
    other, _ = segment_frame(params, zeros, frames, config=config)
    for got, wanted in zip(jax.tree.leaves(other), jax.tree.leaves(first), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_policy_that_this_machine_steers_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"steered by this machine's clock .*--budget"):
        export_program(tmp_path / "x.dvsnet", tiny_params(), CONFIG.replace(policy=FrameRate(25)), **SIZE)
