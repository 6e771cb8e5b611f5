"""The presets of the Reconstruct panel in Blender; inside/presets.py tells the story."""


def test_a_preset_is_kept_brought_back_and_forgotten(blender):
    found = blender("presets.py")
    assert len(found["files"]) == 1 and found["other"] == found["count"]
    assert found["restored"] and found["label"] == "For Jars"
    assert found["folder"] == "/other"  # what belongs to the file is none of it
    assert found["left"] == []
