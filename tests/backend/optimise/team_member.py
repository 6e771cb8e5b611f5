"""One process of the team that `test_team` starts: `team_member.py WHAT OUT`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parent), str(HERE)]

import torch  # noqa: E402
from known import ball_views  # noqa: E402
from test_shape import judge, shape_fit  # noqa: E402

from backend.engines.select import select_engine  # noqa: E402
from backend.optimise.fit import run  # noqa: E402
from backend.optimise.team import team_of  # noqa: E402
from backend.render.renderer import Renderer  # noqa: E402


def primitives(team):
    """Means of small and large tensors, votes, and what only the first works out."""
    own = team.rank + 1.0
    small, one, large = torch.tensor([[own, 2.0 * own]]), torch.tensor(own), torch.full((1 << 21,), own)
    team.average_([small, None, large, one])

    def refuse():
        raise ValueError(f"no room at {team.rank}")

    try:
        team.from_first(refuse)
        error = None
    except ValueError as raised:
        error = str(raised)
    votes = [team.agree(1, team.rank == 0), team.agree(8, team.rank == 0), team.agree(16, True)]
    word = team.from_first(lambda: f"from {team.rank}")
    shared = team.share(torch.arange(12).view(3, 4))
    return {"small": small, "one": one, "large": large, "votes": votes, "word": word, "error": error, "shared": shared}


def fit(team):
    """A short shape stage on a ball."""
    renderer = Renderer(select_engine("builtin", torch.device("cpu"), 1))
    case = ball_views(renderer)
    which = shape_fit(renderer, case, steps=8, cells=16, start_cells=16, views_per_step=4, team=team)

    def values():
        return {"sdf": which.grid.sdf, "table": which.field.table, "light": which.light.log_texels}

    before = {f"{name} before": value.detach().clone() for name, value in values().items()}
    early = judge(which, case[2].test)[0]
    run(which, lambda *_: True)
    after = {name: value.detach() for name, value in values().items()}
    return {**before, **after, "psnr before": early, "psnr": judge(which, case[2].test)[0], "steps": which.step}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with team_of(torch.device("cpu")) as team:
        torch.save({"primitives": primitives, "fit": fit}[sys.argv[1]](team), sys.argv[2])
