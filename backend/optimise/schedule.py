from __future__ import annotations


def ramp(step: int, start: int, length: int) -> float:
    """0 before `start`, rising linearly to 1 over `length` steps."""
    return min(1.0, max(0.0, (step - start) / max(1, length)))


def falling(first: float, last: float, fraction: float) -> float:
    """From `first` at fraction 0 linearly to `last` at fraction 1, constant outside."""
    return first + (last - first) * min(1.0, max(0.0, fraction))


def exponential(fraction: float, end: float) -> float:
    """A learning rate's factor: 1 at fraction 0, `end` at fraction 1, geometric between."""
    return float(end ** min(1.0, max(0.0, fraction)))
