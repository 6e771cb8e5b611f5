import torch

from backend.optimise.sampling import batch, generator


def draw(*key):
    return torch.rand(4, generator=generator(*key))


def test_a_draw_depends_on_seed_stage_and_step_alone():
    first = draw(3, "shape", 17)
    torch.manual_seed(99)
    torch.rand(1000)
    assert torch.equal(draw(3, "shape", 17), first)
    others = [
        draw(4, "shape", 17),
        draw(3, "refine", 17),
        draw(3, "shape", 18),
        draw(3, "shape1", 7),
        draw(31, "shape", 7),
    ]
    assert not any(torch.equal(other, first) for other in others)


def test_every_view_comes_once_an_epoch_in_a_fresh_order():
    def epoch(number, count, size, seed=0):
        steps = count // size
        return torch.cat([batch(count, size, number * steps + k, seed, "shape") for k in range(steps)])

    for number in range(3):
        assert epoch(number, 12, 3).sort().values.tolist() == list(range(12))
    assert not torch.equal(epoch(0, 12, 3), epoch(1, 12, 3))
    assert not torch.equal(epoch(0, 12, 3), epoch(0, 12, 3, seed=1))
    some = torch.cat([epoch(number, 7, 3) for number in range(20)])  # 6 of 7: who is left out changes
    assert all(len(epoch(number, 7, 3).unique()) == 6 for number in range(20)) and len(some.unique()) == 7
    assert batch(3, 8, 5, 0, "shape").sort().values.tolist() == [0, 1, 2]
