"""transformers' segmentation networks, from a folder in Hugging Face's layout or from the hub.

    FOLDER/config.json                the network
    FOLDER/model.safetensors          its weights, or several files and model.safetensors.index.json
    FOLDER/preprocessor_config.json   how it wants its images

Nothing is unpickled, and no code that comes with the files is run.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvsnet_jax.config import ImageInput, OwnSegmentationConfig
from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.networks import from_torch
from dvsnet_jax.protocols import SegmentationFunction

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
_PATTERNS = ("*.json", "*.safetensors")
_UNSAID = {"MobileViT": {"do_normalize": False, "do_flip_channel_order": True}}
"""What processors do where their file says nothing of it, by the beginning of their name: others normalize, and keep
the order. MobileViT's file has a mean, which it does not use."""


_NOT_TAKEN = {
    "oneformer": "OneFormer writes at places that it finds in a mask, which no compiled program can",
    "videomt": "VideoMT segments clips, not images",
}
"""By `model_type`."""


def downloaded(name: str) -> Path:
    """The folder of `ORG/NAME` of the hub: from huggingface_hub's cache, or downloaded, its weights in safetensors."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"--segmentation hf:{name}: expected hf:ORG/NAME; a local folder is named by its path alone")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError("hf: needs huggingface_hub; pip install 'dvsnet-jax[torch]'") from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(_PATTERNS)))
    except Exception as error:  # of a dozen kinds: no such repository, gated, offline, a broken connection
        line = next(iter(str(error).strip().splitlines()), "")
        raise InputError(
            f"hf:{name} cannot be had ({type(error).__name__}: {line[:200]}); a folder here is named by its path"
        ) from error


def open_folder(
    folder: Path, *, stored: OwnSegmentationConfig | None = None
) -> tuple[SegmentationFunction, dict[str, Any], ImageInput, Callable[[Path], None]]:
    """The network in a folder, how it wants its images, and what writes its files, as `OwnNetwork` has them. Raises
    InputError, in one line, for what is missing."""
    settings = _json(folder / CONFIG, f"{folder}: has no {CONFIG}, so it is no folder in Hugging Face's layout")
    if not any(folder.glob("*.safetensors")):
        pickled = [file.name for file in sorted(folder.iterdir()) if file.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        raise InputError(
            f"{folder}: has no *.safetensors"
            + (f", only {pickled[0]}, a pickle, which is not loaded" if pickled else "")
            + "; save it again: model.save_pretrained(FOLDER)"
        )
    if reason := _NOT_TAKEN.get(str(settings.get("model_type"))):
        raise InputError(f"{folder}: {reason}; Mask2Former, MaskFormer and EoMT can be taken, and what gives scores")
    inputs = stored.inputs if stored and stored.inputs else image_input(folder)
    if inputs.size is None and inputs.multiple == 1:
        inputs = replace(inputs, multiple=math.lcm(*(patch for patch in _patches(settings) if 16 % patch)))
    module = _module(folder)
    try:
        network, params = from_torch(module, inputs)
    except InputError:  # of one size alone, perhaps
        side = settings.get("image_size")
        if inputs.size is not None or side is None:
            raise
        height, width = side if isinstance(side, list) else (side, side)
        inputs = replace(inputs, size=(height, width))
        network, params = from_torch(module, inputs)

    def write(place: Path) -> None:
        for pattern in _PATTERNS:
            for file in folder.glob(pattern):
                shutil.copyfile(file, place / file.name)

    return network, params, inputs, write


def _patches(settings: dict[str, Any]) -> Iterator[int]:
    """The sides of the patches that a network cuts its images into, of its backbone too; what is left over at the edge
    it would not look at, and its scores would be of a smaller image."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _patches(value)
        elif key == "patch_size":
            yield from (side for side in (value if isinstance(value, list) else [value]) if isinstance(side, int))


def image_input(folder: Path) -> ImageInput:
    """How the network wants its images, of its preprocessor_config.json (or processor_config.json).

    Raises InputError where there is none, or it lacks the mean.
    """
    missing = (
        f"{folder}: has no {PROCESSOR}, so it is not known how the network wants its images; write one there, such as "
        '{"do_normalize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], '
        '"rescale_factor": 0.00392156862745098}'
    )
    other = folder / "processor_config.json"
    said = _json(folder / PROCESSOR, missing) if not other.is_file() or (folder / PROCESSOR).is_file() else (
        _json(other, missing).get("image_processor") or {}
    )  # fmt: skip
    called = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    for name, unsaid in _UNSAID.items():
        said = {**unsaid, **said} if called.startswith(name) else said
    scale = said.get("rescale_factor") or 1 / 255
    try:
        return ImageInput(
            mean=tuple(said["image_mean"]) if said.get("do_normalize", True) else (0.0, 0.0, 0.0),
            deviation=tuple(said["image_std"]) if said.get("do_normalize", True) else (1.0, 1.0, 1.0),
            scale=scale if said.get("do_rescale", True) else 1.0,
            order="bgr" if said.get("do_flip_channel_order") else "rgb",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / PROCESSOR}: expected image_mean and image_std, three numbers each ({error}), or "
            '"do_normalize": false'
        ) from error


def _json(file: Path, missing: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(missing) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: expected a JSON object, but it is a {type(found).__name__}")
    return found


def _module(folder: Path) -> Any:
    from dvsnet_jax.networks.pytorch.importing import environment

    environment()  # says what is missing of torch and torchax
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            f"{folder}: a network of transformers needs it ({error}); pip install 'dvsnet-jax[torch]'"
        ) from error
    with _quiet(transformers):
        failed: Exception | None = None
        for kind in (transformers.AutoModelForSemanticSegmentation, transformers.AutoModelForUniversalSegmentation):
            try:
                module, loading = kind.from_pretrained(
                    folder, use_safetensors=True, local_files_only=True, trust_remote_code=False,
                    output_loading_info=True, ignore_mismatched_sizes=True, dtype="float32",
                )  # fmt: skip
            except Exception as error:  # ValueError for another kind of network; the loader's own for damaged files
                failed = failed or error
                if "Unrecognized configuration class" in str(failed):
                    failed = error
                continue
            mismatched = {each if isinstance(each, str) else each[0] for each in loading["mismatched_keys"]}
            missing = sorted({*loading["missing_keys"], *mismatched})
            if missing:
                lack = (
                    f"{folder}: its safetensors lack {len(missing)} weights of {type(module).__name__}, or have them "
                    f"in another shape ({', '.join(missing[:3])})"
                )
                of = ", ".join(map(str, getattr(module.config, "architectures", None) or ()))
                if of and of != type(module).__name__:
                    raise InputError(f"{lack}: they are of {of}, which does not segment; name a network that does")
                raise InputError(f"{lack}; save it again: model.save_pretrained(FOLDER)")
            return module
    assert failed is not None
    raise InputError(
        f"{folder}: is no segmentation network of transformers, or a damaged one ({first_line(failed)[:200]})"
    )


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """transformers tells on stderr what it loads; what is wrong is raised here."""
    logging = transformers.utils.logging
    was = logging.get_verbosity()
    logging.set_verbosity_error()
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(was)
        if bars:
            logging.enable_progress_bar()
