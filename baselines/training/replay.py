"""Episode replay: sequences of consecutive steps, in one preallocated tensor per quantity."""

from __future__ import annotations

import torch
from torch import Tensor


class Replay:
    """The newest sequences, each of all agents of one copy; sampled uniformly. Steps come first, as in a batch."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        """Set up.

        Args:
            capacity: Sequences that are kept.
            device: Where they are kept.
        """
        self._capacity, self._device, self._next, self._size = capacity, device, 0, 0
        self._kept: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """Sequences kept now."""
        return self._size

    def add(self, sequences: dict[str, Tensor]) -> None:
        """Take in named tensors [T, sequences, ...]; the oldest make room.

        A name that only some sequences have is True in the others: a mask is left out where everything is allowed.
        """
        first = next(iter(sequences.values()))
        count = first.shape[1]
        rows = (self._next + torch.arange(count, device=first.device)) % self._capacity
        for name, values in sequences.items():
            if name not in self._kept:
                self._kept[name] = values.new_zeros(len(values), self._capacity, *values.shape[2:])
                self._kept[name][:, : self._size] = True
            self._kept[name][:, rows] = values
        for name in self._kept.keys() - sequences.keys():
            self._kept[name][:, rows] = True
        self._next = (self._next + count) % self._capacity
        self._size = min(self._capacity, self._size + count)

    def sample(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """`count` sequences, with replacement, [T, count, ...]."""
        rows = torch.randint(self._size, (count,), generator=generator, device=generator.device)
        return {name: values.index_select(1, rows.to(values.device)) for name, values in self._kept.items()}

    def state_dict(self) -> dict[str, object]:
        """Everything, so that an interrupted training goes on bit for bit."""
        kept = {name: values[:, : self._size].clone() for name, values in self._kept.items()}
        return {"next": self._next, "size": self._size, "kept": kept}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take it back."""
        self._next, self._size = state["next"], state["size"]  # type: ignore[assignment]
        for name, values in state["kept"].items():  # type: ignore[attr-defined]
            shape = len(values), self._capacity, *values.shape[2:]
            self._kept[name] = values.new_zeros(shape, device=self._device)
            self._kept[name][:, : self._size] = values.to(self._device)
