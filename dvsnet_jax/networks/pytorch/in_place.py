"""Writing in place as PyTorch has it: what is written into a tensor is in all others that share its memory.

torchax has that for slices (`x[:, 1:] += 1`) alone. What is written into `x.chunk(2, 1)[0]`, `x.permute(…)`,
`x.view(…)` or `x.select(…)` never arrives in `x`, and nothing is said. So a module is looked at once as PyTorch runs
it, and where it reads again what it wrote that way, PyTorch's own functionalization takes all writing in place out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from dvsnet_jax.networks.pytorch.outputs import as_tree


class Seen(NamedTuple):
    """What a module does that torchax would not do as PyTorch does; None where it does not."""

    lost: str | None
    """The operator with which it writes what it then reads by another tensor of the same memory, where torchax would
    lose it."""
    drawn: str | None
    """The operator that draws random numbers of which its scores depend."""


def looked_at(module: Any, image: Any) -> Seen:
    """What the operators of a module are seen to do.

    `image` is a torch tensor such as the module is called with. Nothing is computed for it where that can be avoided
    (tensors without memory, "meta"); else the module is run.
    """
    import torch

    every = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    for empty, device in ((every, "meta"), ((), "cpu")):
        watch = _watch()
        try:
            with torch.no_grad(), watch:
                watch.gives(as_tree(copied(module, empty)(image.to(device))))
        except Exception:  # such as a branch on what is in a tensor; where PyTorch cannot either, tracing will tell
            if watch.lost is None and device == "meta":
                continue
        break
    return Seen(watch.lost, watch.drawn)


def without_writes(module: Any, tensors: dict[str, Any], image: Any, constant: Callable[[Any], Any]) -> Any:
    """The module as a function of parameters and image that writes nothing in place, for arguments of these shapes and
    types alone. `constant` makes of a torch tensor in its code what it is to be called with.

    Whatever keeps PyTorch from it is raised.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    own = copied(module, tensors)

    def call(parameters: Any, pixels: Any) -> Any:
        return as_tree(torch.func.functional_call(own, parameters, (pixels,)))

    like = {key: torch.empty(tuple(value.shape), dtype=value.dtype) for key, value in tensors.items()}
    pixels = torch.empty(tuple(image.shape), dtype=image.dtype)
    pure = torch.func.functionalize(call, remove="mutations")
    with torch.no_grad():
        graph = make_fx(pure, tracing_mode="fake", _allow_non_fake_inputs=True)(like, pixels)
    for name in {node.target for node in graph.graph.nodes if node.op == "get_attr"}:
        value = constant(getattr(graph, name))
        delattr(graph, name)
        setattr(graph, name, value)
    return graph


def copied(module: Any, empty: Collection[str]) -> Any:
    """A module of its own, which may keep what it computes; the tensors with these names take no memory ("meta")."""
    import torch

    known: dict[int, Any] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if name in empty:
            nothing = torch.empty_like(tensor, device="meta")
            parameter = isinstance(tensor, torch.nn.Parameter)
            known[id(tensor)] = torch.nn.Parameter(nothing, requires_grad=False) if parameter else nothing
    return copy.deepcopy(module, known)


def _watch() -> Any:
    """A context in which operators are watched; `lost` is the first that wrote what torchax would not have where it is
    read. (A function, since torch is imported where it is wanted.)"""
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from torch.utils.weak import WeakIdKeyDictionary

    def tensors(tree: Any) -> Iterator[Any]:
        return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))

    def written(operator: Any, arguments: Any, more: Any) -> Iterator[Any]:
        for place, argument in enumerate(operator._schema.arguments):
            if argument.is_write:
                yield from tensors(arguments[place] if place < len(arguments) else more.get(argument.name))

    def unused(operator: Any, arguments: Any, more: Any) -> bool:
        """Whether an operator that may draw is told not to, as attention is by a `dropout_p` of 0."""
        for place, argument in enumerate(operator._schema.arguments):
            if argument.name in ("dropout_p", "train", "training"):
                given = arguments[place] if place < len(arguments) else more.get(argument.name, argument.default_value)
                return not given
        return False

    class Watch(TorchDispatchMode):
        """Numbers the arrays that torchax would have: one for a tensor and its slices, another for each other view."""

        def __init__(self) -> None:
            super().__init__()
            self.lost: str | None = None
            self.drawn: str | None = None
            self.slicing = False
            self._array = WeakIdKeyDictionary()
            self._count = 0
            self._of_memory: dict[int, set[int]] = {}
            self._kept: dict[int, Any] = {}  # so that no address is given out anew
            self._old: dict[int, str] = {}  # arrays that lack what was written, and what wrote it
            self._random: dict[int, str] = {}  # memory whose numbers were drawn, or are made of such
            self._functions = Functions()

        def __enter__(self) -> Any:
            self._functions.__enter__()
            return super().__enter__()

        def __exit__(self, *problem: Any) -> None:
            super().__exit__(*problem)
            self._functions.__exit__(*problem)

        def reads(self, tree: Any) -> None:
            for tensor in tensors(tree):
                self.lost = self.lost or self._old.get(self.array(tensor))

        def gives(self, tree: Any) -> None:
            self.reads(tree)
            self.drawn = next((self._random[at] for at in map(self.memory, tensors(tree)) if at in self._random), None)

        def array(self, tensor: Any, same_as: Any = None) -> int:
            if tensor not in self._array:
                self._count += 1
                self._array[tensor] = self._count if same_as is None else self.array(same_as)
            memory = self.memory(tensor)
            self._of_memory.setdefault(memory, set()).add(self._array[tensor])
            return int(self._array[tensor])

        def memory(self, tensor: Any) -> int:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._kept:
                self._kept[storage._cdata] = StorageWeakRef(storage)
            return int(storage._cdata)

        def draws(self, func: Any, arguments: Any, results: Any) -> None:
            seen = [self._random[at] for at in map(self.memory, tensors(arguments)) if at in self._random]
            if torch.Tag.nondeterministic_seeded in func.tags and not unused(func, *arguments):
                seen.append(str(func))
            if seen:
                self._random.update((self.memory(tensor), seen[-1]) for tensor in tensors(results))

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            more = kwargs or {}
            self.reads((args, more))
            result = func(*args, **more)
            source = next(tensors((args, more)), None)
            self.draws(func, (args, more), (result, list(written(func, args, more))))
            for tensor in tensors(result):
                slice_of = self.slicing and source is not None and self.memory(tensor) == self.memory(source)
                self.array(tensor, source if slice_of else None)
            for tensor in written(func, args, more):
                for other in self._of_memory[self.memory(tensor)] - {self.array(tensor)}:
                    self._old[other] = str(func)
            return result

    class Functions(TorchFunctionMode):
        """Slices are told from other views by the Python operator that makes them."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            before, watch.slicing = watch.slicing, func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
            try:
                return func(*args, **(kwargs or {}))
            finally:
                watch.slicing = before

    watch = Watch()
    return watch
