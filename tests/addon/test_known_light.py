"""The world's HDRI as the backend reads it, against what Cycles shows of the same world."""

import math
from pathlib import Path

import pytest
import torch

from backend.dataset.reference import read_environment
from backend.light.cube import sample_cube
from backend.light.latlong import latlong_to_cube


def test_a_turned_world_lights_the_backend_as_it_lights_cycles(blender):
    found = blender("known_light.py")
    light = found["request"]
    assert light["rotation"] == pytest.approx(70.0, abs=1e-3) and light["strength"] == 2.0
    picture = read_environment(Path(light["file"])) * light["strength"]
    ends = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    wanted = torch.tensor([found["seen"]["+X"], found["seen"]["+Y"]])

    def error(rotation):
        cube = latlong_to_cube(picture, 16, math.radians(rotation))
        return (sample_cube(cube, ends) - wanted).abs().max().item()

    assert error(light["rotation"]) < 0.03
    for mistake in (-light["rotation"], light["rotation"] + 180.0, light["rotation"] - 90.0, 0.0):
        assert error(mistake) > 1.0, mistake
