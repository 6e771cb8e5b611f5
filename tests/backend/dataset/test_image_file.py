import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from PIL import Image, ImageOps
from posed_scene import write_png

from backend.contract import RequestError
from backend.dataset.image_file import read_image, read_mask, resize_area, srgb_to_linear
from backend.dataset.picture_file import decode_picture, read_picture


def write_exr(path, channels, **header):
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels).write(
        str(path)
    )


def test_srgb_curve_by_hand():
    encoded = torch.tensor([0.0, 0.04045, 0.5, 188 / 255, 1.0], dtype=torch.float64)
    by_hand = [0.0, 0.04045 / 12.92, 0.21404114048223255, 0.5028864580325687, 1.0]
    torch.testing.assert_close(srgb_to_linear(encoded), torch.tensor(by_hand, dtype=torch.float64), rtol=1e-12, atol=0)


def test_eight_bit_rgba_is_decoded_then_premultiplied(tmp_path):
    write_png(tmp_path / "a.png", np.array([[[188, 0, 255, 128]]], np.uint8))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == torch.float32
    alpha = 128 / 255
    torch.testing.assert_close(image[0, 0], torch.tensor([0.5028865 * alpha, 0.0, alpha, alpha]), rtol=1e-6, atol=1e-7)


def test_sixteen_bit_png_keeps_its_steps(tmp_path):
    write_png(tmp_path / "a.png", np.array([[[32768, 32769, 65535]]], np.uint16))
    image = read_image(tmp_path / "a.png")[0, 0]
    expected = srgb_to_linear(torch.tensor([32768, 32769, 65535], dtype=torch.float64) / 65535).float()
    torch.testing.assert_close(image[:3], expected, rtol=1e-6, atol=0)
    assert image[1] > image[0]  # at 8 bits both were the same
    assert image[3] == 1.0


def test_exr_stays_linear_and_premultiplied_at_the_edge(tmp_path):
    inside, edge = [2.5, 0.25, 0.125, 1.0], [0.5, 0.25, 0.125, 0.25]  # the edge's straight colour would be 2, 1, 0.5
    write_exr(tmp_path / "half.exr", {"RGBA": np.array([[inside, edge]], np.float16)})
    torch.testing.assert_close(read_image(tmp_path / "half.exr"), torch.tensor([[inside, edge]]), rtol=0, atol=0)
    write_exr(tmp_path / "float.exr", {"RGB": np.array([[[0.1, 70000.0, np.nan]]], np.float32)})
    assert read_image(tmp_path / "float.exr")[0, 0].tolist() == pytest.approx([0.1, 65504.0, 0.0, 1.0])


def test_exr_layer_of_blender_and_cropped_window(tmp_path):
    combined, other = np.full((1, 2), 0.5, np.float32), np.full((1, 2), 9.0, np.float32)
    channels = {f"ViewLayer.Combined.{letter}": combined for letter in "RGBA"} | {
        f"ViewLayer.AAA.{letter}": other for letter in "RGB"
    }
    windows = {
        "dataWindow": (np.array([1, 2], np.int32), np.array([2, 2], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([3, 3], np.int32)),
    }
    write_exr(tmp_path / "a.exr", channels, **windows)
    image = read_image(tmp_path / "a.exr")
    assert image.shape == (4, 4, 4)
    expected = torch.zeros(4, 4)
    expected[2, 1:3] = 0.5
    torch.testing.assert_close(image[..., 0], expected)
    torch.testing.assert_close(image[..., 3], expected)


def test_radiance_hdr_keeps_values_above_one(tmp_path):
    light = np.zeros((8, 16, 3), np.float32)
    light[1, 2] = [32.0, 2.0, 0.5]  # red, green, blue
    cv2.imwrite(str(tmp_path / "a.hdr"), light[..., ::-1].copy())
    image = read_image(tmp_path / "a.hdr")
    assert image.shape == (8, 16, 4)
    assert image[1, 2].tolist() == pytest.approx([32.0, 2.0, 0.5, 1.0], rel=0.02)


def test_grey_palette_and_one_bit_pngs(tmp_path):
    Image.fromarray(np.array([[188, 255]], np.uint8), "L").save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png")[0, 0].tolist() == pytest.approx([0.5028865] * 3 + [1.0])
    Image.fromarray(np.array([[[188, 51], [255, 255]]], np.uint8), "LA").save(tmp_path / "grey_alpha.png")
    assert read_image(tmp_path / "grey_alpha.png")[0, 0].tolist() == pytest.approx([0.5028865 * 0.2] * 3 + [0.2])
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png")[0].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1]]
    Image.fromarray(np.array([[0, 255]], np.uint8), "L").convert("1").save(tmp_path / "bit.png")
    assert read_mask(tmp_path / "bit.png").tolist() == [[0, 1]]


def test_masks_grey_as_stored_or_alpha_of_a_cut_out(tmp_path):
    write_png(tmp_path / "grey.png", np.array([[0, 51, 255]], np.uint8))
    assert read_mask(tmp_path / "grey.png")[0].tolist() == pytest.approx([0.0, 0.2, 1.0])
    write_png(tmp_path / "cut.png", np.array([[[9, 9, 9, 255], [255, 255, 255, 0]]], np.uint8))
    assert read_mask(tmp_path / "cut.png")[0].tolist() == [1.0, 0.0]
    write_png(tmp_path / "opaque.png", np.array([[[0, 0, 0, 255], [255, 255, 255, 255]]], np.uint8))
    assert read_mask(tmp_path / "opaque.png")[0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_like_pillow(tmp_path, orientation):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    read = read_picture(tmp_path / "a.jpg")
    assert read.orientation == orientation
    with Image.open(tmp_path / "a.jpg") as stored:
        np.testing.assert_array_equal(read.upright().values, np.asarray(ImageOps.exif_transpose(stored)))


def test_area_means_are_exact_and_do_not_fringe():
    row = torch.tensor([[[0.0], [3.0], [6.0]]])
    torch.testing.assert_close(resize_area(row, (1, 2)), torch.tensor([[[1.0], [5.0]]]))  # (2*0 + 3)/3 and (3 + 2*6)/3
    image = torch.rand(7, 9, 4, generator=torch.Generator().manual_seed(0))
    small = resize_area(image, (3, 4))
    torch.testing.assert_close(small.mean((0, 1)), image.mean((0, 1)), rtol=1e-5, atol=1e-6)
    assert resize_area(image[..., :1], (3, 4)).shape == (3, 4, 1)


@pytest.mark.parametrize("kind", ["eight.png", "sixteen.png", "photo.jpg", "half.exr", "light.hdr"])
@pytest.mark.parametrize("part", [0, 20, 0.6])
def test_truncated_files_are_refused_by_name(tmp_path, kind, part, capfd):
    values = np.random.default_rng(1).integers(0, 255, (32, 32, 3))
    path = tmp_path / kind
    if kind.endswith("exr"):
        write_exr(path, {"RGB": values.astype(np.float16)})
    elif kind.endswith("hdr"):
        cv2.imwrite(str(path), values.astype(np.float32))
    else:
        cv2.imwrite(str(path), values.astype(np.uint16 if kind.startswith("sixteen") else np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data)) if isinstance(part, float) else part])
    with pytest.raises(RequestError, match=kind) as caught:
        read_image(path)
    assert caught.value.code == "image-unreadable" and caught.value.hint


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(RequestError, match=r"none\.png: no such image"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(RequestError, match=r"text\.png.*neither PNG"):
        read_image(tmp_path / "text.png")
    with pytest.raises(RequestError, match=r"'\.webp' are not read"):
        read_image(tmp_path / "a.webp")
    Image.new("CMYK", (4, 4)).save(tmp_path / "print.jpg")
    with pytest.raises(RequestError, match=r"print\.jpg.*CMYK"):
        read_image(tmp_path / "print.jpg")
    with pytest.raises(RequestError, match=r"the cover"):
        decode_picture(b"", "the cover")
