"""How the built-in engine runs its Warp kernels: the one place that starts Warp, knows about streams and about threads.

A Warp launch runs on one CPU thread, so on the CPU a kernel is launched several times over disjoint pieces of its work and the launches
run in a thread pool (they hold no interpreter lock). CPU "atomics" are not atomic: two pieces that run together must never write the
same element. On a CUDA device every piece is one launch on torch's current stream, and nothing here waits for the device.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import warp as wp
from torch import Tensor

# Bounds of the pieces depend on the amount of work alone, never on the number of threads: results do not change with it.
MAX_PIECES = 64
MIN_PIECE = 8192  # a launch costs about 20 us, an item 20 to 100 ns
# Work of fewer items than this is not worth waking another thread for.
ALONE = 4096
# Scattered sums (gradients of shared vertices or texels) go to this many private accumulators, summed in order afterwards.
ACCUMULATORS = 4

Job = tuple[int | tuple[int, ...], Sequence[Any]]
"""Size of a launch (one or more axes) and the kernel's arguments, in order."""


def split(count: int, pieces: int) -> list[tuple[int, int]]:
    """Cut `count` items into at most `pieces` equal runs: [(offset, length)], none empty."""
    step = max(1, -(-count // max(1, pieces)))
    return [(offset, min(step, count - offset)) for offset in range(0, count, step)]


def _items(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else math.prod(size)


class Launcher:
    """Runs Warp kernels over torch tensors on one device.

    Args:
        device: where every tensor handed to this launcher lies; the CPU or a CUDA device.
        threads: CPU threads, torch's own number when None. Results do not depend on it. Unused on CUDA.
    """

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; expected 1 or more")
        wp.config.log_level = wp.LOG_ERROR  # a machine without a CUDA driver is no news
        wp.init()
        self.device = torch.device(device)
        if self.device.type != "cpu" and self.device.index is None:
            self.device = torch.device(self.device.type, torch.cuda.current_device())
        self.threads = threads or torch.get_num_threads()
        self._warp_device = wp.device_from_torch(self.device)
        self._pool = ThreadPoolExecutor(self.threads - 1, "unrender") if self.on_cpu and self.threads > 1 else None
        self._streams: dict[int, wp.Stream] = {}

    @property
    def on_cpu(self) -> bool:
        """Whether kernels run on the CPU, where pieces that run together must own disjoint outputs."""
        return self.device.type == "cpu"

    @property
    def accumulators(self) -> int:
        """How many private copies a scattered sum needs: a fixed number on the CPU, one on CUDA (atomics are real there)."""
        return ACCUMULATORS if self.on_cpu else 1

    def load(self, package: str) -> None:
        """Load every kernel of the package's imported modules onto the device."""
        for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
            wp.load_module(name, device=self._warp_device)

    def array(self, tensor: Tensor, dtype: Any) -> Any:
        """A kernel argument that shares the tensor's memory; `dtype` is Warp's, such as wp.float32 or wp.vec4 (last axis 4).

        The tensor must be kept alive by the caller until the launch has been issued, and be contiguous for vector types.
        """
        return wp.from_torch(tensor.detach(), dtype=dtype, requires_grad=False, return_ctype=True)

    def pieces(self, count: int) -> list[tuple[int, int]]:
        """Runs (offset, length) for work whose outputs are disjoint item by item; one run on CUDA, none when count is 0."""
        if count == 0:
            return []
        if not self.on_cpu:
            return [(0, count)]
        return split(count, min(MAX_PIECES, -(-count // MIN_PIECE)))

    def items(self, kernel: Any, count: int, arguments: Sequence[Any], axes: tuple[int, ...] = ()) -> None:
        """Run `kernel` over `count` items that write disjoint outputs.

        The kernel's first argument is `offset: int`; its last thread index counts items from there, the indices before it are `axes`.
        """
        self.run(kernel, [((*axes, length), (offset, *arguments)) for offset, length in self.pieces(count)])

    def sums(self, kernel: Any, count: int, arguments: Sequence[Any]) -> None:
        """Run `kernel` over `count` items that add into one of `accumulators` private copies of an output.

        The kernel's first arguments are `offset: int` and `copy: int`, the index of the copy this run may add to.
        """
        runs = split(count, self.accumulators)
        self.run(kernel, [(length, (offset, copy, *arguments)) for copy, (offset, length) in enumerate(runs)])

    def image_copies(self, images: int) -> int:
        """How many private copies `image_sums` needs: images own disjoint outputs already, few of them are cut further."""
        return -(-self.accumulators // max(1, images))

    def image_sums(
        self, kernel: Any, images: int, pixels: int, arguments: Sequence[Any], axes: tuple[int, ...] = ()
    ) -> None:
        """Like `sums` over `images` of `pixels` each, for outputs [image_copies, images, ...] that an image's pixels alone write."""
        if not self.on_cpu:
            self.run(kernel, [((*axes, images * pixels), (0, 0, *arguments))])
            return
        runs = list(enumerate(split(pixels, self.image_copies(images))))
        self.run(
            kernel,
            [
                ((*axes, length), (image * pixels + offset, copy, *arguments))
                for image in range(images)
                for copy, (offset, length) in runs
            ],
        )

    def run(self, kernel: Any, jobs: Sequence[Job]) -> None:
        """Run the jobs of one kernel, together on the CPU's threads or one after another on torch's current stream.

        Returns when the CPU's work is done; on CUDA it is only queued.
        """
        if not self.on_cpu:
            stream = self._stream()
            for size, arguments in jobs:
                wp.launch(
                    kernel, dim=size, inputs=arguments, device=self._warp_device, stream=stream, record_tape=False
                )
            return
        if self._pool is None or len(jobs) == 1 or sum(_items(size) for size, _ in jobs) < ALONE:
            for size, arguments in jobs:
                wp.launch(kernel, dim=size, inputs=arguments, device=self._warp_device, record_tape=False)
            return
        self._run_together(
            [wp.launch(kernel, dim=s, inputs=a, device=self._warp_device, record_cmd=True) for s, a in jobs]
        )

    def _run_together(self, commands: list[wp.Launch]) -> None:
        assert self._pool is not None
        queue: Iterator[wp.Launch] = iter(commands)
        lock = threading.Lock()

        def drain() -> None:
            while True:
                with lock:
                    command = next(queue, None)
                if command is None:
                    return
                command.launch()

        helpers = [self._pool.submit(drain) for _ in range(min(self.threads, len(commands)) - 1)]
        drain()
        for helper in helpers:
            if not helper.cancel():  # one that has not begun by now has nothing left to do
                helper.result()

    def _stream(self) -> wp.Stream:
        """Warp's handle of torch's current stream, kept so that it is wrapped once."""
        current = torch.cuda.current_stream(self.device)
        if current.cuda_stream not in self._streams:
            self._streams[current.cuda_stream] = wp.stream_from_torch(current)
        return self._streams[current.cuda_stream]
