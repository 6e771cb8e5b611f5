import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backend.optimise.adam import Adam, Group

ROOT = Path(__file__).resolve().parents[3]


def test_steps_are_those_of_torchs_own_class_and_go_on_after_a_restore():
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(5, 3, generator=generator), torch.randn(4, generator=generator)]
    ours, theirs = ([torch.nn.Parameter(value.clone()) for value in start] for _ in range(2))
    groups = [Group((ours[0],), 0.1), Group((ours[1],), 0.02)]
    optimiser = Adam(groups, eps=1e-8)
    known = torch.optim.Adam([{"params": [theirs[0]]}, {"params": [theirs[1]]}], lr=0.1, betas=(0.9, 0.99), eps=1e-8)
    for step in range(6):
        factor = torch.tensor(0.9**step)
        for group, rate in zip(known.param_groups, (0.1, 0.02), strict=True):
            group["lr"] = rate * 0.9**step
        for values in (ours, theirs):
            for number, value in enumerate(values):
                skipped = number == 1 and step == 2  # a parameter may have no gradient
                value.grad = None if skipped else (value.detach() * (step + 1)).sin()
        if step == 3:
            saved = optimiser.state()
            optimiser = Adam(groups, eps=1e-8)
            optimiser.restore(saved)
        optimiser.step(factor)
        known.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-6)
        assert mine.grad is not None
    optimiser.zero_grad()
    assert all(value.grad is None for value in ours)


@pytest.mark.parametrize("slow", ["torch._dynamo", "scipy", "xatlas"])
def test_a_run_begins_without_what_takes_long_to_import(slow):
    code = f"import backend.pipeline, sys; sys.exit({slow!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
