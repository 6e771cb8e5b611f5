"""The hook to a trained network: where its model lies, what is said where it does not, and what goes in and comes out."""

import numpy as np
import pytest

from backend.capture.learned import learned_masks
from backend.contract import EnvironmentFault

LIBRARY = """
import numpy as np
def new_session(model):
    return model
def remove(picture, session, only_mask):
    assert (session, only_mask, picture.dtype) == ("isnet", True, np.uint8)
    return np.where(picture[..., :1] > picture[..., 2:], picture[..., :1], 0)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A library of rembg's calls, whose "network" takes red for the object, and an empty home."""
    (tmp_path / "site/rembg").mkdir(parents=True)
    (tmp_path / "site/rembg/__init__.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(__import__("sys").modules, "rembg", raising=False)
    for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("place", [".rembg/models/isnet/isnet.onnx", ".u2net/isnet.onnx"])
def test_a_model_is_found_where_this_and_earlier_versions_keep_it(home, place):
    with pytest.raises(EnvironmentFault, match="isnet of rembg is not installed") as caught:
        learned_masks("isnet", download=False)
    assert caught.value.code == "model-missing" and str(home / place) in caught.value.message
    (home / place).parent.mkdir(parents=True)
    (home / place).touch()
    picture = np.zeros((4, 6, 3), np.float32)
    picture[1:3, 2:5, 0] = 0.8
    mask = learned_masks("isnet", download=False)(picture)
    assert mask.shape == (4, 6) and mask.dtype == np.float32
    assert mask[1:3, 2:5] == pytest.approx(0.8) and mask.sum() == pytest.approx(6 * 0.8)


def test_a_home_of_ones_own_is_respected_and_a_download_may_be_permitted(home, monkeypatch):
    monkeypatch.setenv("U2NET_HOME", str(home / "models of mine"))
    with pytest.raises(EnvironmentFault) as caught:
        learned_masks("isnet", download=False)
    assert str(home / "models of mine/isnet.onnx") in caught.value.message
    assert learned_masks("isnet", download=True)(np.ones((2, 2, 3), np.float32)).sum() == 0
