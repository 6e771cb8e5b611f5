"""An imported asset and what is done with it afterwards, in the built extension inside Blender; inside/result.py tells the story."""

import pytest

GREEN, RED = [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]
TRIANGLES = (24 * 12 * 2, 32 * 16 * 2)


@pytest.fixture
def found(blender):
    return blender("result.py")


def test_an_asset_is_replaced_in_place_thinned_catalogued_and_undone(found):
    assert "This scene holds no asset yet" in found["nothing"] and "No import has taken" in found["no_world"]
    assert found["radius"] == pytest.approx([0.25, 0.25], rel=1e-4)  # about the very point where the thing stood
    assert found["external"] and found["packed"] == 4

    assert found["before"] == [TRIANGLES[0], RED, "Thing Base Color"]
    assert found["after"] == [TRIANGLES[1], GREEN, "Thing Base Color"]
    assert found["counts"][0] == found["counts"][1] and found["again"][0] == found["again"][1]
    assert found["cameras"] == ["000", "001", "002"]  # two at first; moved and added, not doubled
    assert found["kept"] == {
        "name": "Hero",
        "mesh": ["Thing", "mine", True],
        "pose": 0.0,
        "collections": ["Hero LODs", "Props", "Thing"],
        "slots": ["Thing", "Label"],
        "modifiers": ["Shell"],
        "node": True,
        "turn": pytest.approx(0.7),
        "world": "Thing Light",
    }
    levels_are_thinner_and_shaded_alike(found)
    refusals_leave_the_scene_alone(found["refusals"])

    words = "Reconstructed from views, 1,024 triangles, 31.2 dB on held-out views, Unrender 9.9.9"
    assert found["entry"] == ["A. Artist", words, ["Unrender", "glass", "jar"]] and found["studio"]
    covered, color, around = found["picture"]
    assert 0.4 < covered < 0.9 and color[1] > 2 * color[0] and around < 0.05
    assert found["library"] == ["Hero"] and found["appended"] == [["Mine"], ["MESH"], 3]  # neither light nor cameras

    assert found["restored"] == [True] * 3 and found["restored_again"]
    assert "this scene holds several" in found["several"] and found["relative"] == ["//"]
    fresh, imported, undone, world = found["undone"]
    assert undone == fresh != imported and world == "Mine" and found["redone"]


def levels_are_thinner_and_shaded_alike(found):
    assert found["lod0"] == [False, False, ["Hero LODs", "Props", "Thing"]]
    for levels in (found["levels"], found["levels_after"]):
        assert [level["name"] for level in levels] == ["Hero_LOD1", "Hero_LOD2", "Hero_LOD3"]
        assert [level["share"] for level in levels] == pytest.approx([0.5, 0.25, 0.1], abs=0.01)
        for level in levels:
            assert (
                level["leaning"] > 0.99
            )  # cosine to the full mesh's normal; the flat triangles' own would be near 0.9
            assert level["hidden"] == [True, True] and level["place"]
            assert level["uvs"] == ["UVMap"] and level["materials"] == ["Thing", "Label"]


def refusals_leave_the_scene_alone(refusals):
    expected = {
        "incomplete": "has no textures/orm.png",
        "texture": "cannot be read as an image",
        "cut off": "result.json cannot be read",
        "empty": "result.json cannot be read",
        "not text": "result.json cannot be read",
        "newer": "made by another version of Unrender",
        "file names": "is damaged",
        "warnings": "is damaged",
        "no mesh": "has no 'arrays'",
        "no lens": "camera 'train/000.png' has width 0",
    }
    assert refusals.keys() == expected.keys()
    for name, (on_import, on_replace, untouched) in refusals.items():
        for said in (on_import, on_replace):
            assert expected[name] in said and ("Reconstruct" in said or "Unrender" in said), (name, said)
        assert untouched, name
