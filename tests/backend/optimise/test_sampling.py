import torch

from backend.optimise.sampling import batches, generator


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
    def epochs(number, count, size, seed=0):
        drawn = batches(count, size, number * (count // size), seed, "shape")
        return drawn.view(number, -1)

    for epoch in epochs(3, 12, 3):
        assert epoch.sort().values.tolist() == list(range(12))
    first, second = epochs(2, 12, 3)
    assert not torch.equal(first, second)
    assert not torch.equal(first, epochs(1, 12, 3, seed=1)[0])
    some = epochs(20, 7, 3)  # 6 of 7: who is left out changes
    assert all(len(epoch.unique()) == 6 for epoch in some) and len(some.unique()) == 7
    assert batches(3, 8, 5, 0, "shape").sort(1).values.tolist() == [[0, 1, 2]] * 5
    assert torch.equal(batches(7, 3, 3, 0, "shape"), batches(7, 3, 20, 0, "shape")[:3])  # a longer run begins the same
