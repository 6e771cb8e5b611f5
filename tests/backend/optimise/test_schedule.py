import pytest
import torch

from backend.optimise.schedule import Timetable, exponential, falling, ramp


def test_values_worked_by_hand():
    assert [ramp(step, 10, 4) for step in (0, 10, 11, 14, 99)] == [0.0, 0.0, 0.25, 1.0, 1.0]
    assert ramp(0, 0, 0) == 0.0 and ramp(1, 0, 0) == 1.0
    assert [falling(0.2, 0.01, f) for f in (-1.0, 0.0, 0.5, 1.0, 4.0)] == pytest.approx([0.2, 0.2, 0.105, 0.01, 0.01])
    assert [exponential(f, 0.01) for f in (0.0, 0.5, 1.0, 2.0)] == pytest.approx([1.0, 0.1, 0.01, 0.01])


def test_a_timetable_holds_what_the_functions_say():
    columns = {"rising": lambda step: ramp(step, 0, 4), "nothing": lambda _: 0.0, "weight": lambda _: 0.5}
    table = Timetable(columns, 6, torch.device("cpu"))
    for step in range(6):
        row = table.at(torch.tensor([step]))
        assert row.pop("nothing") is None  # zero at every step: known beforehand
        assert {name: value.item() for name, value in row.items()} == {"rising": ramp(step, 0, 4), "weight": 0.5}
