from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Terms = Mapping[str, Tensor]

_LATER = 3  # steps after which a count is read: by then the device has long passed it


class Recorded:
    """A part of a step that is run again and again: on a CUDA device recorded as a graph, then replayed by a single call.

    A step of a fit is about a thousand short kernels, which a host starts more slowly than a GPU runs them. The first calls run as they
    are, so that whatever is set up lazily is set up; then one call records the part and plays it back at once, so that every call is a
    step. What a replay reads and writes lies where it lay when it was recorded: `forget` must follow whenever a tensor is replaced, and the
    part may neither wait for the device nor make a shape from what it reads there.

    Args:
        part: what is run; the tensors it returns are overwritten by the next call.
        device: where.
        recordable: False where the part waits for the device in ways of its own, and always runs as it is.
        first_calls: how many run as they are, each time anew after `forget`.
    """

    def __init__(
        self, part: Callable[[], Terms], device: torch.device, recordable: bool = True, first_calls: int = 1
    ) -> None:
        self._part, self._device, self._first_calls = part, device, first_calls
        self._calls = 0
        # one for all first calls: the matrix library keeps 32 MiB for each stream it has ever worked on
        self._side = torch.cuda.Stream(device) if recordable and device.type != "cpu" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._terms: Terms = {}

    def __call__(self, ready: bool = True) -> Terms:
        """Run the part once; as it is while it is not `ready` to be recorded."""
        if self._side is None:
            return self._part()
        if not ready:
            self.forget()
        self._calls += 1
        if self._calls <= self._first_calls:
            self._side.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._side):  # gradients must not have been made on the stream that records
                self._terms = self._part()
            torch.cuda.current_stream(self._device).wait_stream(self._side)
            return self._terms
        if self._graph is None:
            self._terms = {}
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._terms = self._part()
            self._graph = graph
        self._graph.replay()
        return self._terms

    def forget(self) -> None:
        """Record again, after some more calls that run as they are."""
        self._calls, self._graph, self._terms = 0, None, {}


class Tally:
    """Counts that are read back from a device some steps later, so that nothing waits for it; on the CPU they are there at once.

    How many steps later is fixed: what follows from a count happens at the same step in every run, and in every process of one.
    """

    def __init__(self) -> None:
        self._under_way: deque[tuple[Tensor, torch.cuda.Event | None]] = deque()

    def post(self, counts: Tensor) -> None:
        """Send a step's vector of counts on its way to the host."""
        if counts.device.type == "cpu":
            self._under_way.append((counts.clone(), None))
            return
        host = torch.empty(counts.shape, dtype=counts.dtype, pin_memory=True)
        host.copy_(counts, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(counts.device))
        self._under_way.append((host, event))

    def latest(self, wait: bool) -> list[int] | None:
        """The counts that are due, each given once; None where there are none. With `wait`, those of the last step at once."""
        if not self._under_way:
            return None
        counts, event = self._under_way[0]
        if event is not None:
            if len(self._under_way) <= _LATER and not wait:
                return None
            event.synchronize()
        self._under_way.popleft()
        return counts.tolist()

    def clear(self) -> None:
        """Forget what is under way."""
        self._under_way.clear()
