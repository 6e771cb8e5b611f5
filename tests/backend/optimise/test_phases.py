from itertools import pairwise

import pytest
import torch

from backend.contract import ShapeStage
from backend.dataset.views import Cameras, Views
from backend.optimise.phases import phases


def views(height, width):
    cameras = Cameras(torch.eye(4)[None], torch.ones(1, 4), torch.tensor([[height, width]]))
    return Views(("one",), cameras, torch.zeros(1, height, width, 4))


@pytest.mark.parametrize(("start", "end"), [(32, 96), (24, 48), (16, 256), (48, 48)])
def test_cells_grow_by_bounded_steps_within_the_first_part_of_the_run(start, end):
    found = phases(ShapeStage(steps=1000, start_cells=start, cells=end), views(128, 200))
    cells, first = [phase.cells for phase in found], [phase.first for phase in found]
    assert (cells[0], cells[-1], first[0]) == (start, end, 0)
    assert all(1.0 < b / a < 1.7 for a, b in pairwise(cells))
    assert first == sorted(set(first)) and first[-1] == (350 if len(found) > 1 else 0)
    assert [phase.halvings for phase in found] == [1] * (len(found) - 1) + [
        0
    ]  # the images' last pixels come with the last cells


def test_small_images_are_not_halved():
    found = phases(ShapeStage(start_cells=16, cells=32), views(100, 400))
    assert len(found) > 1 and {phase.halvings for phase in found} == {0}
