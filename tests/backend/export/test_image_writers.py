import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from backend.export.images import encode_png, write_exr, write_hdr, write_png


def png_chunks(data):
    place, names = 8, []
    while place < len(data):
        names.append(data[place + 4 : place + 8].decode())
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return names


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_keeps_values_and_order_and_carries_no_colour_tag(tmp_path, bits, channels):
    image = torch.rand(5, 7, channels, generator=torch.Generator().manual_seed(0))
    image[0, 0, 0], image[1, 1, 0] = -3.0, 2.0
    write_png(tmp_path / "a.png", image, bits)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED).reshape(5, 7, channels)
    if channels >= 3:
        read = read[..., [2, 1, 0, 3][:channels]]
    most = 2**bits - 1
    assert read.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.abs(read / most - image.clamp(0, 1).numpy()).max() <= 0.5001 / most
    assert not {"gAMA", "sRGB", "iCCP", "cHRM", "cICP"} & set(png_chunks((tmp_path / "a.png").read_bytes()))


def test_png_of_what_is_not_finite_is_black_or_white():
    image = np.array([[[np.nan], [np.inf], [-np.inf]]], np.float32)
    read = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.tolist() == [[0, 255, 0]]


def test_exr_has_the_plain_channels_and_no_colour_tag(tmp_path):
    image = torch.rand(6, 9, 4, generator=torch.Generator().manual_seed(0)) * 50
    image[0, 0] = torch.tensor([1e9, float("nan"), 0.0, 1.0])
    write_exr(tmp_path / "a.exr", image)
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        channels, header = file.channels(), file.header()
        read = np.stack([channels[name].pixels for name in "RGBA"], -1)
        assert set(channels) == set("RGBA")
    assert read.dtype == np.float16
    assert read[0, 0].tolist() == [65504.0, 0.0, 0.0, 1.0]
    assert np.allclose(read[1:], image[1:].numpy(), rtol=1e-3)
    assert not [name for name in header if "color" in name.lower() or "chroma" in name.lower()]


def test_hdr_is_true_to_a_percent_of_its_brightest_channel(tmp_path):
    image = torch.rand(6, 40, 3, generator=torch.Generator().manual_seed(0)).exp() * torch.logspace(-3, 4, 40)[:, None]
    write_hdr(tmp_path / "a.hdr", image)
    read = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert (tmp_path / "a.hdr").read_bytes().startswith(b"#?RADIANCE")
    assert (np.abs(read - image.numpy()) / image.numpy().max(-1, keepdims=True)).max() < 0.01


@pytest.mark.parametrize("write", [write_png, write_exr, write_hdr])
def test_a_missing_folder_is_an_oserror(tmp_path, write):
    with pytest.raises(OSError, match="nowhere"):
        write(tmp_path / "nowhere" / "a", torch.zeros(4, 4, 3))


def test_a_wrong_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected \[H, W, C\]"):
        write_png(tmp_path / "a.png", torch.zeros(4, 4))
    with pytest.raises(ValueError, match="bits is 12"):
        write_png(tmp_path / "a.png", torch.zeros(4, 4, 3), 12)
