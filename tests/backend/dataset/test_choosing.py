"""Photographs chosen by name: plain, by pattern, by a span that counts, and what means none is refused by its own words."""

import pytest
from posed_scene import write_scene

from backend.contract import RequestError, ViewSettings
from backend.dataset.choosing import chosen, in_sequence
from backend.dataset.load import load

BOX = (-0.3, -0.6, -0.4, 0.9, 0.2, 1.4)
NAMES = (*(f"images/IMG_{number}.jpg" for number in (10, 9, 8, 100, 11)), "images/cover.png")


@pytest.mark.parametrize(
    ("only", "numbers"),
    [
        ("IMG_9", {9}),
        ("images/IMG_9.jpg", {9}),
        ("IMG_1*", {10, 11, 100}),
        ("IMG_9..IMG_11.jpg", {9, 10, 11}),
        (" IMG_8 , IMG_11..IMG_100 ", {8, 11, 100}),
        ("IMG_?.jpg", {8, 9}),
    ],
)
def test_a_choice_by_names_patterns_and_spans(only, numbers):
    assert {NAMES[place] for place in chosen(NAMES, only)} == {f"images/IMG_{number}.jpg" for number in numbers}


@pytest.mark.parametrize("only", ["IMG_12", "IMG_8,IMG_7..IMG_9", "IMG_11..IMG_9", "img_9"])
def test_what_means_none_is_refused(only):
    with pytest.raises(RequestError, match="means none of the 6 photographs") as caught:
        chosen(NAMES, only)
    assert repr(only.split(",")[-1]) in str(caught.value)


def test_names_count_up():
    assert [NAMES[place] for place in in_sequence(NAMES)][:3] == [f"images/IMG_{number}.jpg" for number in (8, 9, 10)]


def test_only_what_is_chosen_is_read_and_every_second_of_it_held_out(tmp_path):
    write_scene(tmp_path)
    (tmp_path / "images/007.png").write_bytes(b"not a picture")
    dataset = load(tmp_path, ViewSettings(resolution=32, holdout=2, box=BOX, only="002..005"))
    assert dataset.train.names == ("images/002.png", "images/004.png")
    assert dataset.test.names == ("images/003.png", "images/005.png")
