"""Two real processes, as torchrun starts them, against one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backend.contract import RequestError
from backend.optimise.team import Team

HERE = Path(__file__).resolve().parent
MEMBER = HERE / "team_member.py"


def together(size, folder, what):
    """What every member of a team of `size` processes leaves behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(size):
        told = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{name: str(value) for name, value in told.items()}}
        command = [sys.executable, str(MEMBER), what, str(folder / f"{what}-{size}-{rank}.pt")]
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, complaint[-3000:]
    return [torch.load(folder / f"{what}-{size}-{rank}.pt", weights_only=True) for rank in range(size)]


def test_means_votes_and_the_first_ones_word(tmp_path):
    first, second = together(2, tmp_path, "primitives")
    for member in (first, second):
        assert torch.equal(member["small"], torch.tensor([[1.5, 3.0]])) and torch.equal(
            member["one"], torch.tensor(1.5)
        )
        assert torch.equal(member["large"], torch.full((1 << 21,), 1.5))
        assert member["word"] == "from 0" and member["error"] == "no room at 0"
        assert member["votes"] == [True, False, True]  # not asked yet, one is against, all are for
    assert torch.equal(torch.cat([first["shared"], second["shared"]], 1).sort(1).values, torch.arange(12).view(3, 4))


def test_two_processes_fit_as_one_does(tmp_path):
    """The same views a step, split; every member ends with the same parameters to the last bit, and near those of one process."""
    (alone,) = together(1, tmp_path, "fit")
    first, second = together(2, tmp_path, "fit")
    assert first["steps"] == second["steps"] == alone["steps"]
    for name in ("sdf", "table", "light"):
        assert torch.equal(first[name], second[name]), name
        assert not torch.equal(first[name], first[f"{name} before"])
    assert first["psnr"] == pytest.approx(alone["psnr"], abs=0.3)  # the backgrounds behind thin places are other draws
    assert alone["psnr"] > alone["psnr before"] + 0.2
    moved = first["sdf"] - first["sdf before"], alone["sdf"] - alone["sdf before"]
    assert torch.nn.functional.cosine_similarity(*moved, 0) > 0.9


def test_views_that_cannot_be_split_are_refused():
    team = Team()
    team.size = 3
    with pytest.raises(RequestError, match="4 views a step, which 3 processes cannot share evenly"):
        team.share(torch.zeros(5, 4, dtype=torch.int64))
