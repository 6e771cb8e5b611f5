"""No operator holds the window for 0.1 s; inside/holding.py presses every button and says how long each took."""

LIMIT = 0.1  # seconds


def test_no_operator_holds_the_window(blender):
    found = blender("holding.py", columns=548)  # a ball of 548^2 triangles
    assert set(found["all"]) - set(found["times"]) <= {
        "unrender.follow",
        "unrender.choose_result",
        "unrender.add_preset",
    }
    held = {name: seconds for name, seconds in found["times"].items() if seconds >= LIMIT and name != "save"}
    assert held == {}
    finished = [["FINISHED"], []]
    assert all(found[name] == finished for name in ("import", "levels", "replace", "photographs"))
    assert found["imported"] == ["Big", 548**2, "Big", 4, 0] and found["leaning"] > 0.9999
    assert len(found["given_up"]) > 6 and all(found["given_up"])
    ((name, triangles, materials),) = found["level"]
    assert name == "Big_LOD1" and abs(triangles / 548**2 - 0.1) < 0.01 and materials == ["Big"]
    assert found["replaced"] == [548**2, 4, 2]
    assert found["frames"] == [100, 6000, 4000, 100] and found["decoded"] == 0 and found["stopped"]
    assert found["rendered"][0] == ["FINISHED"] and found["rendered"][2:] == ["2 views written", True, False, False]
    assert found["ended"][3:] == [False, False, False]
    assert found["backend"]


def test_a_slice_that_sleeps_is_found(blender):
    found = blender("holding.py", columns=24, sleep=0.15)
    assert found["times"]["unrender.import_result"] > LIMIT
