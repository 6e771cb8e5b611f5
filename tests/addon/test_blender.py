"""The built extension inside Blender: what the scripts of inside/ measured, judged here."""

import numpy as np
import pytest


def test_it_validates_installs_draws_and_leaves_nothing_behind(blender):
    life = blender("life.py")
    status, said = life["validate"]
    assert status in (0, True), said
    assert {"export_views", "reconstruct", "import_result", "cancel"} <= set(life["operators"])
    assert "No reconstruction is running" in life["idle"]
    assert "no views yet" in life["early"]
    assert "no result.json" in life["lost"]
    assert life["unknown"] == []
    assert "unrender.export_views" in life["drawn"]["UNRENDER_PT_export"]
    assert "unrender.reconstruct" in life["drawn"]["UNRENDER_PT_reconstruct"]
    running = life["drawn_running"]["UNRENDER_PT_progress"]
    assert "Shape, step 3 of 10, 1:05 left" in running and "21.5 dB on cpu" in running
    assert {"unrender.cancel", "unrender.pause", "preview_part", "live_mesh"} <= set(running)
    assert "light_lock" in life["drawn_running"]["UNRENDER_PT_reconstruct"]
    assert "running already" in life["busy"]
    assert {"Paused", "unrender.resume"} <= set(life["drawn_paused"])
    assert {"last words", "Do this.", "unrender.resume"} <= set(life["drawn_failed"])
    assert "Finished" in life["drawn_finished"]
    assert life["preset"] == "standard"
    assert life["left"] == []


def test_intrinsics_are_blenders_own_in_every_sensor_fit_shift_and_aspect(blender):
    found = blender("intrinsics.py")
    assert found["count"] == 432 and len(found["seen"]) == 6  # three fits, each in portrait and landscape
    assert found["worst_matrix"] < 1e-3 and found["worst_view"] < 1e-3  # pixels; what is left is single precision


def test_a_capture_is_linear_premultiplied_and_where_the_camera_says(blender):
    found = blender("export.py")
    height, width = found["image"]
    assert found["size"] == [width, height] == [123, 162]  # 150 x 200 cropped to the border
    assert found["centre"] == pytest.approx(found["predicted"], abs=0.05)
    low, high, count = found["inside"]
    assert count > 20
    assert np.array([low, high]) == pytest.approx(np.array([[0.5, 0.2, 3.0, 1.0]] * 2), rel=2e-3)
    worst, count = found["edge"]
    assert count > 10 and worst < 0.01  # straight alpha would be off by the whole colour
    assert found["untouched"]
    assert found["splits"] == ["train"] * 3 + ["test"] and found["same"]
    assert all(0.81 <= fill <= 0.88 for fill in found["fills"]), found["fills"]
    refusals = found["refusals"]
    assert "is selected" in refusals["selection"] and "holds no capture" in refusals["foreign"]
    assert "holds a reconstruction" in refusals["used"] and "ORTHO" in refusals["ortho"]
    assert "EEVEE needs a display" in refusals["eevee"]
    assert found["foreign"] == ["novel.txt"] and found["ortho_left"] == []


def test_reconstruct_runs_the_backend_to_its_end_and_says_what_went_wrong(blender):
    found = blender("reconstruct.py")
    assert "not set up" in found["unready"] and "Preferences" in found["unready"]
    assert "/no/such/python" in found["lost"] and "does not exist" in found["lost"]
    assert "three views are black" in found["bad"] and "Light them." in found["bad"]
    assert found["good"] == ["FINISHED"] and found["headline"] == "Finished"
    assert found["seen"]["argv"][-4:] == [f"{found['folder']}/request.json", "--json", "--follow-parent", "--resume"]
    assert found["seen"]["cwd"].endswith("unrender")  # where backend/ is
    assert found["request"] == [found["folder"], "draft"]
    assert "other settings (asset)" in found["changed"]
    assert found["triangles"] == 4321
    assert len(found["resumed"]) == 3  # a result that cannot be read is put aside, and the job goes on
    assert all(outcome == ["FINISHED", True] for outcome in found["resumed"].values()), found["resumed"]


COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "white": (1, 1, 1)}


def hue(color):
    """The name of the colour a pixel is nearest to, its brightness left aside."""
    color = np.array(color) / max(*color, 1e-6)
    return min(COLORS, key=lambda name: np.abs(color - COLORS[name]).sum())


def test_an_import_stands_upright_in_cycles(blender):
    found = blender("import_result.py")
    assert {name: hue(color) for name, color in found["sky"].items()} == {
        "+X": "red",
        "+Y": "green",
        "-X": "blue",
        "-Y": "yellow",
        "+Z": "white",
    }
    assert found["sky"]["+Z"] == pytest.approx([2.0] * 3, rel=1e-2)  # linear: an sRGB reading would be far off
    assert (
        {name: hue(color) for name, color in found["patches"].items()}
        == {
            "top outer": "red",
            "top inner": "green",
            "bottom outer": "blue",
            "bottom inner": "yellow",
            "mirror": "green",  # a mirror (metallic from blue, roughness from green) bent towards +Y (the normal map's green is up)
        }
    )
    assert found["patches"]["mirror"] == pytest.approx(
        [0.0, 0.787, 0.0], abs=0.02
    )  # 0.9 decoded from sRGB, times the sky
    assert found["collection"] == ["Thing", "Thing"]
    assert found["spread"][1] == pytest.approx(found["spread"][0])
    assert found["normals"] < 2e-3  # Blender stores them in 16 bits
    assert found["camera"] < 1e-3 and found["pose"] < 1e-5
    assert found["world"] == ["Thing Light", 1]  # the old world is kept, for a file that is saved too
    assert found["spaces"] == ["Linear Rec.709", "Non-Color", "Non-Color", "sRGB"]
    for name, (said, empty, world_kept, touched) in found["refusals"].items():
        assert said and empty and world_kept and not touched, (name, said)
    assert "has no textures/orm.png" in found["refusals"]["incomplete"][0]
    assert "faces must be 0 to 3" in found["refusals"]["indices"][0]
    assert "cannot be read" in found["refusals"]["texture"][0] and "cannot be read" in found["refusals"]["light"][0]
