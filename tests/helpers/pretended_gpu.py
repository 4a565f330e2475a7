"""A GPU to test with where there is none: tensors that say that they are elsewhere, and whose numbers lie beside them.

Everything is computed on the processor, so results are the processor's to the last bit. What a real GPU refuses is
refused: operations on tensors of both kinds, draws of a generator that lives elsewhere, arrays of numpy. Torch knows
the device as its third-party one, by the name of `GPU`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("pretended")
GPU = torch.device("pretended:0")
CROSSING = ("aten::copy_", "aten::_to_copy")  # what takes tensors of both kinds


class OnGpu(torch.Tensor):
    """A tensor that says that it is on the GPU.

    Attributes:
        beside: Its numbers.
    """

    beside: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, beside: torch.Tensor) -> "OnGpu":
        laid = beside.layout is torch.strided
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            beside.size(),
            strides=beside.stride() if laid else None,
            storage_offset=beside.storage_offset() if laid else None,
            dtype=beside.dtype,
            device=GPU,
        )
        made.beside = beside
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A file has the numbers alone, as one that is read with `map_location`."""
        return self.beside.__reduce_ex__(protocol)

    def tolist(self) -> Any:
        """A GPU reads its numbers back."""
        return self.beside.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carried_out(func, args, kwargs or {})


class _Pretending(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carried_out(func, args, kwargs or {})


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """While entered, what is made on `GPU` is there."""
    make = torch.tensor

    def tensor(data: Any, *, device: Any = None, **given: Any) -> torch.Tensor:
        made = make(data, **given)  # which would look for the device's own code
        return made if device is None else made.to(device)

    def without_gradients(mode: bool = True) -> AbstractContextManager[Any]:
        return torch.no_grad() if mode else nullcontext()  # inference tensors are none of Python's making

    with patch("torch.tensor", tensor), patch("torch.inference_mode", without_gradients), _Pretending():
        yield


def numbers(state: Any) -> Any:
    """A nested state with its tensors on the processor."""
    return tree_map(lambda leaf: leaf.beside if isinstance(leaf, OnGpu) else leaf, state)


def _carried_out(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    mine, name, asked = [leaf for leaf in given if isinstance(leaf, OnGpu)], func._schema.name, kwargs.get("device")
    there = bool(mine) if asked is None else torch.device(asked).type == GPU.type
    if name == "aten::copy_":
        there = isinstance(args[0], OnGpu)
    if mine and name not in CROSSING:
        strange = [list(leaf.shape) for leaf in given if not isinstance(leaf, OnGpu) and leaf.dim()]
        assert not strange, f"{func}: tensors {strange} of the processor among those of the GPU"
    assert not (there and kwargs.get("generator")), f"{func}: a generator of the processor for a tensor of the GPU"
    plain = {id(leaf.beside): leaf for leaf in mine}
    own = numbers(dict(kwargs)) | ({} if asked is None else {"device": torch.device("cpu")})
    found = func(*numbers(tuple(args)), **own)
    # What an operation writes to, it also gives back.
    return tree_map(lambda leaf: _there(leaf, plain), found) if there else found


def _there(found: Any, plain: Mapping[int, OnGpu]) -> Any:
    if not isinstance(found, torch.Tensor):
        return found
    return plain[id(found)] if id(found) in plain else OnGpu(found)
