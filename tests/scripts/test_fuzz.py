"""The fuzzer's own parts, and a moment of it on every parser; the minute each parser has to withstand is a part of the whole test run."""

import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import fuzz


@pytest.mark.parametrize("name", sorted(fuzz.PARSERS))
def test_damaged_bytes_are_refused_and_nothing_else(tmp_path, name):
    assert fuzz.mutate(name, 0.5, 7, tmp_path) > 10


def test_a_parser_that_fails_is_noticed_with_its_file(tmp_path, monkeypatch):
    def careless(path):
        return path.read_bytes().decode()[0]

    monkeypatch.setattr(fuzz.Target, "parser", lambda target: careless)
    with pytest.raises((UnicodeDecodeError, IndexError)):
        fuzz.mutate("colmap-cameras", 20.0, 1, tmp_path)
    assert (tmp_path / "crash-colmap-cameras").exists()


def test_damage_is_damage():
    chance = random.Random(3)
    sound = fuzz.PARSERS["glb"].sound()
    assert sum(fuzz.damaged(sound, chance) != sound for _ in range(50)) > 45
