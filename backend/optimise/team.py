"""Several processes, one a GPU, that take each step together: the views are split among them, the gradients averaged."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor

from backend.contract import RequestError

_LARGE = 1 << 20  # numbers from which a gradient travels alone
_AGREE_EVERY = 8  # steps between two agreements whether to go on
_PATIENCE = timedelta(hours=2)  # of one process for another: the first may unwrap while the others wait

Value = TypeVar("Value")


class Team:
    """The processes of one run; one process alone is a team of one, for which everything here is free.

    Attributes:
        rank: this process's number; the first, 0, alone speaks and writes.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        # Decisions and objects go over the CPU, so that they neither wait for a GPU nor stand in a recorded step's way.
        self._control = distributed.new_group(backend="gloo", timeout=_PATIENCE) if size > 1 else None

    @property
    def leads(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def share(self, order: Tensor) -> Tensor:
        """[steps, B] indices of all -> [steps, B / size] of this process.

        Raises:
            RequestError: B views cannot be split evenly.
        """
        if order.shape[1] % self.size:
            raise RequestError(
                f"views_per_step gives {order.shape[1]} views a step, which {self.size} processes cannot share evenly",
                hint=f"Ask for a multiple of {self.size}: --set shape.views_per_step=... --set refine.views_per_step=...",
                code="views-per-step",
            )
        return order[:, self.rank :: self.size].contiguous()

    def average_(self, tensors: Sequence[Tensor | None]) -> None:
        """Replace each tensor, in place, by the mean over the processes. Recordable; every process must call it alike."""
        present = [tensor for tensor in tensors if tensor is not None]
        if self.size == 1 or not present:
            return
        small = [tensor for tensor in present if tensor.numel() < _LARGE]
        together = torch.cat([tensor.reshape(-1) for tensor in small]) if small else None
        for tensor in [*(t for t in present if t.numel() >= _LARGE), *([] if together is None else [together])]:
            distributed.all_reduce(tensor)
            tensor /= self.size
        if together is not None:
            for tensor, mean in zip(small, together.split([t.numel() for t in small]), strict=True):
                tensor.copy_(mean.view_as(tensor))

    def agree(self, step: int, go_on: bool) -> bool:
        """Whether all go on after this step; asked every few steps, since whoever stopped alone would leave the others waiting."""
        if self.size == 1:
            return go_on
        if step % _AGREE_EVERY:
            return True
        votes = torch.tensor([int(go_on)])
        distributed.all_reduce(votes, op=distributed.ReduceOp.MIN, group=self._control)
        return bool(votes.item())

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What `make` gives the first process, in every process: it must not depend on who worked it out.

        Raises:
            Exception: whatever `make` raised, in every process.
        """
        if self.size == 1:
            return make()
        box: list[Any] = [None, None]
        if self.leads:
            try:
                box[0] = make()
            except Exception as error:
                box[1] = error
        distributed.broadcast_object_list(box, src=0, group=self._control)
        if box[1] is not None:
            raise box[1]
        return box[0]


def started_together() -> bool:
    """Whether a launcher such as torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def team_of(device: torch.device) -> Iterator[Team]:
    """The team a launcher such as torchrun started this process in (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), left at the end.

    NCCL between CUDA devices, gloo on the CPU.
    """
    if not started_together():
        yield Team()
        return
    on_cpu = device.type == "cpu"
    if not on_cpu:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "gloo" if on_cpu else "nccl", timeout=_PATIENCE, device_id=None if on_cpu else device
    )
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        gc.collect()  # NCCL waits for ever for a recorded graph that still holds its communicator
        distributed.destroy_process_group()
