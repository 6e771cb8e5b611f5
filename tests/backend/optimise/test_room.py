import torch

from backend.optimise.room import Room


def test_room_grows_before_it_is_full_and_is_kept_while_it_fits():
    room = Room(torch.device("cuda", 0), surface=True)
    assert not room.known
    assert room.take((1000, 4000, 50_000))
    assert room.known and room.surface.vertices >= 1200 and room.surface.faces >= 4800 and room.pixels >= 60_000
    first = (room.surface, room.pixels)
    assert not room.take((1010, 4040, 52_000)) and (room.surface, room.pixels) == first
    assert room.take((1010, 4040, int(0.95 * room.pixels))) and room.surface == first[0] and room.pixels > first[1]
    assert (
        room.take((1010, 2 * room.surface.faces, 50_000)) and room.surface.faces > first[0].faces
    )  # it had overflowed
    room.clear()
    assert not room.known


def test_only_what_changes_gets_a_size_and_nothing_on_the_cpu():
    fixed_mesh = Room(torch.device("cuda", 0), surface=False)
    fixed_mesh.take((0, 0, 100))
    assert fixed_mesh.surface is None and fixed_mesh.known
    room = Room(torch.device("cpu"), surface=True)
    assert room.known and not room.take((1, 2, 3)) and room.surface is None and room.pixels is None
