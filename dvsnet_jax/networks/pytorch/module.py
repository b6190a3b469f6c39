"""A `torch.nn.Module` as a segmentation network of the frame step.

network, params = networks.from_torch(module, ImageInput.imagenet())
config = DVSNetConfig(segmentation=network)
params = {"segmentation": params, "flow": …, "decision": …}
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dvsnet_jax import preprocessing
from dvsnet_jax.config import ImageInput
from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.networks.pytorch.constants import traced
from dvsnet_jax.networks.pytorch.importing import environment
from dvsnet_jax.networks.pytorch.in_place import copied, looked_at, without_writes
from dvsnet_jax.networks.pytorch.outputs import as_tree, class_scores, on_grid, stride_of
from dvsnet_jax.protocols import SegmentationFunction

_TRIED = (256, 320)
"""Height and width of the image that a network is tried with."""
_SMALL = 64
"""Numbers in a buffer that code may branch on (EoMT's `attn_mask_probs`)."""


def from_torch(
    module: Any, inputs: ImageInput, *, classes: Sequence[str] | None = None, stride: int | None = None
) -> tuple[SegmentationFunction, dict[str, Array]]:
    """A PyTorch network as `SegmentationFunction` and its parameters, a dict by torch's names. Needs the extra `torch`.

    The module is called with one tensor, float32 [n, 3, h, w], and what it may give is in `outputs.class_scores`. It
    is copied and set to evaluation, so that the one given may be trained further. Its code runs whenever the frame step
    is traced, never while that runs: no branch may depend on the image.

    Args:
      module: the network, with its weights.
      inputs: how it wants its images; transformers' preprocessor_config.json or the network's training says it.
      classes: their names; those of the module's `config.id2label` (transformers) if not given.
      stride: pixels from one score to the next that the frame step warps, 2, 4, 8 or 16: fewer are truer to the
        network's own enlargement and cost more. If not given, half the network's own (`outputs.stride_of`).

    Raises InputError where torch or torchax is missing, a weight is no finite number, the network cannot be traced, or
    what it gives is no scores of 2 to 255 classes, as many as there are names.
    """
    env = environment()
    import torch

    if stride not in (None, 2, 4, 8, 16):
        raise InputError(f"stride is {stride}; it is 2, 4, 8 or 16, or None")
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"expected a torch.nn.Module, but this is a {type(module).__name__}")
    name = type(module).__name__
    module = copy.deepcopy(module).eval().requires_grad_(False)
    arrays = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    _check_numbers(module, name)
    names = tuple(classes) if classes is not None else _names(module)
    height, width = inputs.fitted(*_TRIED)
    precision = next((value.dtype for value in arrays.values() if value.is_floating_point()), torch.float32)
    with traced():
        seen = looked_at(module, torch.zeros(1, 3, height, width, dtype=precision))
    if seen.drawn:
        raise InputError(
            f"{name} draws random numbers in evaluation too ({seen.drawn}), so that it never gives the same scores "
            "twice; a dropout in its code wants training=self.training"
        )
    image = jax.ShapeDtypeStruct((1, 3, height, width), jnp.float32)
    where = f"an image of 3×{height}×{width}"
    function, arrays, found = _traced_somehow(module, env, arrays, image, name, where, seen.lost)
    count = found.shape[1]
    if not 2 <= count <= 255:
        raise InputError(f"{name} gives scores of {count} classes, but labels are uint8 and 255 is void: 2 to 255")
    if names is not None and len(names) != count:
        raise InputError(f"{name} gives scores of {count} classes, but {len(names)} are named")
    params = {key: jnp.asarray(value) for key, value in env.t2j_copy(arrays).items()}
    scores = _Scores(function, inputs, name, stride, alone=_mixes_images(module))
    own = SegmentationFunction(function=scores, num_classes=count, classes=names, any_precision=True)
    return own, params


class _Scores:
    """`protocols.ScoresOfImages` of a module; compared by identity, as a function is."""

    def __init__(
        self, function: Callable[..., Any], inputs: ImageInput, name: str, stride: int | None, alone: bool
    ) -> None:
        self.function, self.inputs, self.name, self.stride, self.alone = function, inputs, name, stride, alone

    def __call__(self, params: Any, images: Float[Array, "n h w 3"]) -> Float[Array, "n h2 w2 classes"]:
        # A number left open (export) is nothing that torch's code can take: it is traced for one image, and mapped.
        if self.alone or not isinstance(images.shape[0], int):
            return jax.vmap(lambda image: self.together(params, image[None])[0])(images)
        return self.together(params, images)

    def together(self, params: Any, images: Float[Array, "n h w 3"]) -> Float[Array, "n h2 w2 classes"]:
        _, height, width, _ = images.shape
        wanted = jnp.moveaxis(preprocessing.as_wanted(images, self.inputs), -1, 1)
        try:
            scores = self.function(params, wanted)
        except Exception as error:
            raise InputError(
                f"{self.name} fails on regions of {height}×{width}: {first_line(error)}; where it takes images of one "
                "size or of a multiple alone, say so: ImageInput(size=…) or ImageInput(multiple=…)"
            ) from error
        stride = self.stride or stride_of(scores.shape[2:], (height, width))
        return on_grid(scores, (height // stride, width // stride), (height, width))

    def __repr__(self) -> str:
        return f"{self.name} (PyTorch)"


def _call(module: Any, env: Any, pure: bool, params: Any, images: Any) -> Any:
    """The module's scores of JAX arrays, in whatever precision the parameters have; `pure` is without writing in place
    (`in_place`)."""
    floats = [leaf.dtype for leaf in params.values() if jnp.issubdtype(leaf.dtype, jnp.floating)]
    if floats and floats[0] == jnp.bfloat16:
        try:
            return _scores(module, env, pure, params, images.astype(jnp.bfloat16))
        except Exception as error:  # torch mixes no precisions, and the code may make numbers of float32
            warnings.warn(f"{type(module).__name__} is computed in float32, since it fails in bfloat16 "
                          f"({first_line(error)})", stacklevel=2)  # fmt: skip
            params = jax.tree.map(lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) if
                                  jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, params)  # fmt: skip
    return _scores(module, env, pure, params, images)


def _scores(module: Any, env: Any, pure: bool, params: Any, images: Any) -> Any:
    import torch

    own = copied(module, params)  # which may keep what it computes, arrays of this trace
    with warnings.catch_warnings(), traced():
        warnings.simplefilter("ignore")  # int64, which JAX has as int32; torch's on its own meshgrid; …
        tensors, image = env.j2t_iso((params, images))
        if pure:
            graph = without_writes(module, tensors, image, env.to_xla)
            with env:
                return class_scores(env.t2j_iso(graph(tensors, image)))
        with env:
            output = torch.func.functional_call(own, tensors, (image,))
        return class_scores(env.t2j_iso(as_tree(output)))


def _traced_somehow(
    module: Any, env: Any, arrays: dict[str, Any], image: jax.ShapeDtypeStruct, name: str, where: str, lost: str | None
) -> tuple[Callable[..., Any], dict[str, Any], jax.ShapeDtypeStruct]:
    """`(function, parameters, scores)` of a module; `lost` is `in_place.looked_at`'s. Raises InputError.

    First as it is; if code branches on a tensor, with its small buffers left as constants. Then without writing in
    place, which torchax lacks many operators for.
    """
    small = {key for key, value in module.named_buffers() if value.ndim <= 1 and value.numel() <= _SMALL}
    small = {key for key in small if not key.endswith(("running_mean", "running_var"))}
    fewer = {key: value for key, value in arrays.items() if key not in small}
    first: Exception | None = None
    for pure in (False, True) if lost is None else (True,):
        for given in (arrays, fewer):
            function = partial(_call, module, env, pure)
            try:
                return function, given, _traced(function, given, image)
            except Exception as error:
                first = first or error
    assert first is not None
    if lost is not None:
        problem = (
            f"{name} writes in place ({lost}) what it then reads through another view, and cannot be taken without "
            f"that ({first_line(first)}); have it make new tensors there, such as x = torch.cat((a + 1, b), 1)"
        )
    elif isinstance(first, jax.errors.JAXTypeError):
        problem = (
            f"{name} branches on what is in a tensor, which one compiled program cannot ({first_line(first)}); "
            "take the branch out, or settle it beforehand"
        )
    else:
        problem = (
            f"{name} fails on {where}: {first_line(first)}; where it takes images of one size or of a multiple alone, "
            "say so: ImageInput(size=…) or ImageInput(multiple=…)"
        )
    raise InputError(problem) from first


def _traced(function: Callable[..., Any], arrays: dict[str, Any], image: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    params = {key: jax.ShapeDtypeStruct(value.shape, _dtype(value)) for key, value in arrays.items()}
    return jax.eval_shape(function, params, image)


def _mixes_images(module: Any) -> bool:
    """Whether a norm takes its moments from all images of a batch, in evaluation too: a region's scores would be others
    by what else is segmented with it."""
    return any(
        "BatchNorm" in type(each).__name__ and getattr(each, "running_mean", True) is None for each in module.modules()
    )


def _names(module: Any) -> tuple[str, ...] | None:
    """transformers' names of the classes; None where there are none, or those that it makes up ("LABEL_0")."""
    named = getattr(getattr(module, "config", None), "id2label", None)
    if not isinstance(named, dict) or not named or all(str(name).startswith("LABEL_") for name in named.values()):
        return None
    return tuple(str(named[key]) for key in sorted(named, key=int))


def _check_numbers(module: Any, name: str) -> None:
    """Parameters must be finite; buffers may hold infinities, as masks do."""
    wrong = [key for key, value in module.named_parameters() if not bool(value.isfinite().all())]
    wrong += [key for key, value in module.named_buffers() if value.is_floating_point() and bool(value.isnan().any())]
    if wrong:
        shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise InputError(f"{name}: {len(wrong)} of its weights are no finite numbers ({shown}); train or load it again")


def _dtype(value: Any) -> np.dtype:
    return jax.dtypes.canonicalize_dtype(str(value.dtype).removeprefix("torch."))
