"""A step whose views are rendered in portions moves everything as the whole step does."""

import pytest
import torch
from test_refine import refine_fit
from test_shape import shape_fit

from backend.optimise.portions import portion


@pytest.mark.parametrize(
    ("count", "at_once", "expected"), [(8, None, 8), (8, 8, 8), (8, 5, 4), (6, 4, 3), (7, 3, 1), (4, 0, 1)]
)
def test_a_portion_divides_the_step(count, at_once, expected):
    assert portion(count, at_once) == expected


def gradients(fit):
    """Of one step: all there are, the light's included, before the optimisers use them."""
    fit.advance()
    modules = (fit.grid, fit.field) if hasattr(fit, "grid") else (fit.textures,)
    found = [parameter.grad for module in modules for parameter in module.parameters()]
    found += (
        [fit.positions.grad, *(parameter.grad for parameter in fit.corrections.parameters())]
        if hasattr(fit, "positions")
        else []
    )
    return [*found, fit.delayed.shown.diffuse.grad]


@pytest.mark.parametrize("stage", ["shape", "refine"])
def test_portions_give_the_gradient_of_the_whole_step(renderer, block, stage):
    def begin(at_once):
        options = {"views_per_step": 4, "every": 4, "at_once": at_once}
        if stage == "shape":
            return shape_fit(renderer, block, lock_light=False, **options)
        return refine_fit(renderer, block, displaced=0.02, lock_light=False, exposure=True, poses=True, **options)

    fits = [begin(at_once) for at_once in (None, 2, 1)]
    whole, *others = [gradients(fit) for fit in fits]
    assert all(gradient.abs().max() > 0 for gradient in whole)
    for found in others:
        for ours, theirs in zip(found, whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-4 * theirs.abs().max().item())


def test_a_shape_fit_without_regularisers_moves_by_its_views_alone(renderer, block):
    fit = shape_fit(renderer, block)
    fit.timetable.at = lambda clock, at=fit.timetable.at: {**at(clock), "sdf_sign": None, "surface_spread": None}
    assert all(gradient.abs().max() > 0 for gradient in gradients(fit)[:1])
