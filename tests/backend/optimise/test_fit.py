import pytest
import torch

from backend.optimise.fit import run, weighted


class Counting:
    name, steps, step, taken = "counting", 5, 0, 0

    def advance(self):
        self.taken += 1
        return {"color": torch.tensor(float(self.step))}


def test_run_counts_steps_tells_each_and_stops_when_asked():
    fit, told = Counting(), []
    assert run(fit, lambda which, terms: told.append((which.step, float(terms["color"]))) or True)
    assert told == [(1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 4.0)] and fit.taken == 5
    fit = Counting()
    fit.step = 2  # goes on where a checkpoint left it
    assert not run(fit, lambda which, _: which.step < 4)
    assert (fit.step, fit.taken) == (4, 2)
    assert run(fit, lambda *_: True) and fit.taken == 3
    assert run(fit, lambda *_: pytest.fail("there is nothing left")) and fit.taken == 3


def test_weighted_sum_leaves_terms_out_and_wants_every_weight():
    x = torch.tensor(2.0, requires_grad=True)
    terms = {"color": 3.0 * x, "mask": x * x, "broken": x / 0.0}
    loss = weighted(terms, {"color": torch.tensor(1.0), "mask": torch.tensor(0.5), "broken": None})
    assert loss.item() == 8.0
    assert torch.autograd.grad(loss, x)[0].item() == 5.0
    with pytest.raises(KeyError, match="mask"):
        weighted({"mask": x}, {"color": torch.tensor(1.0)})
