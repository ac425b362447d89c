"""Ranks: the workers of one training, and what they tell each other.

Each holds its own documents. What is of all documents - counts, decisions, gradients - is exchanged, so that
every rank comes to the same.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


class Ranks(Protocol):
    """Connection of one rank with the others. All of them have to make the same calls in the same order."""

    rank: int
    size: int

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all ranks, in their order."""

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, which are of one shape."""


class SingleRank:
    """A rank without others."""

    rank, size = 0, 1

    def gather(self, value: Value) -> list[Value]:
        """Return the only value."""
        return [value]

    def add(self, tensor: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor


class TorchRanks:
    """Ranks of torch's process group, which exchanges what lies in the memory of processors (gloo)."""

    def __init__(self) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all ranks, in their order."""
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def add(self, tensor: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, on the device of this one's."""
        shared = tensor.cpu()
        torch.distributed.all_reduce(shared)
        return shared.to(tensor.device)


def any_rank(ranks: Ranks, holds: bool) -> bool:
    """Return whether it holds on any rank."""
    return any(ranks.gather(holds))
