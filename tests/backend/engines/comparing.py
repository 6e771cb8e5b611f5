"""Engine functions against their float64 oracles, on every device there is."""

import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def gradients(function, inputs, weights):
    """Value of a function and the gradients of sum(weights * value), all on the CPU in float64."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    value = function(*leaves)
    found = torch.autograd.grad(value, leaves, weights.to(value))
    return [tensor.detach().cpu().double() for tensor in (value, *found)]


def assert_matches(function, oracle, inputs, device, tolerance=1e-5):
    """`function` on float32 inputs on `device` gives the value and the gradients of `oracle` on the same numbers in float64.

    The tolerance is a share of each result's greatest magnitude.
    """
    exact = oracle(*(tensor.double() for tensor in inputs))
    weights = torch.randn(exact.shape, generator=torch.Generator().manual_seed(1))
    got = gradients(function, [tensor.to(device) for tensor in inputs], weights)
    want = gradients(oracle, [tensor.double() for tensor in inputs], weights)
    for index, (ours, theirs) in enumerate(zip(got, want, strict=True)):
        error = (ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-9)  # some are zero throughout
        assert error < tolerance, f"{'value' if index == 0 else f'gradient of input {index - 1}'} is off by {error:.2e}"


def assert_threads_agree(make_function, inputs):
    """`make_function(threads)` gives the same bits of value and gradients with 1, 2 and 7 threads."""
    weights = None
    first = None
    for threads in (1, 2, 7):
        function = make_function(threads)
        if weights is None:
            weights = torch.randn(function(*inputs).shape, generator=torch.Generator().manual_seed(1))
        results = gradients(function, inputs, weights)
        first = first or results
        for ours, theirs in zip(results, first, strict=True):
            assert torch.equal(ours, theirs), f"{threads} threads give other bits than 1"
