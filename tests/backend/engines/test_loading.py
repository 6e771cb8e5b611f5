"""All kernels at once, as a run loads them before its first step."""

import sys
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
import torch

from backend.engines.builtin.engine import BuiltinEngine
from backend.pipeline import _load


def test_every_module_of_the_kernels_holds_kernels_that_load():
    engine = BuiltinEngine(torch.device("cpu"), 1)
    engine.load()
    loaded = [name for name in sys.modules if name.startswith("backend.engines.builtin.kernels.")]
    assert len(loaded) > 10


def test_what_goes_wrong_while_kernels_load_is_raised_where_they_are_waited_for():
    def fail():
        raise RuntimeError("no such architecture")

    loaded = Future()
    _load(SimpleNamespace(engine=SimpleNamespace(load=fail)), torch.device("cpu"), loaded)
    with pytest.raises(RuntimeError, match="no such architecture"):
        loaded.result()
