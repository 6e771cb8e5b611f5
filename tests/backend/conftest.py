"""What the tests of rendering and fitting share; its folder is on the path, so that they find `known`."""

import pytest
import torch
from known import ball_views, box_views

from backend.engines.select import select_engine
from backend.render.renderer import Renderer


@pytest.fixture(scope="session")
def renderer():
    return Renderer(select_engine("builtin", torch.device("cpu"), 1))


@pytest.fixture(scope="session")
def ball(renderer):
    """(asset, light, dataset): 12 views of 48 pixels of a painted ball."""
    return ball_views(renderer)


@pytest.fixture(scope="session")
def block(renderer):
    """(asset, light, dataset): the same of a painted box of three different sides."""
    return box_views(renderer)
