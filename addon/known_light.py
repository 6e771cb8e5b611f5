"""A world's HDRI as the light a reconstruction knows, with the turn of its Mapping node and the strength of its Background node."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..backend.contract import RequestError

FILE = "known_light.exr"  # in the job folder, where the world's image has no file that the backend reads
WIDTH = 2048  # of that file at the most; the light that is fitted is far coarser


@dataclass(frozen=True)
class KnownLight:
    """An environment image and how the world turns and scales it.

    Attributes:
        image: name of the image in this file.
        file: the image as it lies on the disk; None where it is packed, generated, or of a kind the backend may not read.
        turn: radians by which the Mapping node turns the directions about Z.
        strength: the Background node's.
    """

    image: str
    file: Path | None
    turn: float
    strength: float

    def request(self, folder: Path) -> dict[str, Any]:
        """What the request's light says: the file, one in the job folder where the image has none that the backend reads, and the rest."""
        file = self.file if self.file is not None else folder / FILE
        degrees = math.degrees(math.remainder(self.turn, math.tau))
        return {"file": str(file), "rotation": degrees, "strength": self.strength}


def read(world: bpy.types.World | None) -> KnownLight:
    """The HDRI that lights `world`; RequestError says what about the world is no plain HDRI."""
    if world is None or world.node_tree is None:
        raise _refusal("the scene has no world made of nodes")
    output = next(
        (node for node in world.node_tree.nodes if node.type == "OUTPUT_WORLD" and node.is_active_output), None
    )
    background = _behind(output, "Surface")
    if background is None or background.type != "BACKGROUND" or background.inputs["Strength"].is_linked:
        raise _refusal("the world's surface is no Background node with a plain strength")
    texture = _behind(background, "Color")
    if texture is None or texture.type != "TEX_ENVIRONMENT" or texture.image is None:
        raise _refusal("the world's colour comes from no Environment Texture with an image")
    if texture.projection != "EQUIRECTANGULAR":
        raise _refusal("the world's image is no equirectangular one")
    image = texture.image
    stored = Path(bpy.path.abspath(image.filepath, library=image.library)) if image.filepath else None
    usable = stored is not None and stored.suffix.lower() in {".exr", ".hdr"} and stored.is_file()
    # of a file the ending is enough: `is_float` would decode it, which takes seconds where it was not shown yet
    if image.source not in {"FILE", "GENERATED"} or not (usable or _packed_exr(image) or image.is_float):
        raise _refusal(f"the world's image {image.name} is no single high dynamic range picture")
    return KnownLight(
        image=image.name,
        file=stored if usable and image.packed_file is None and not image.is_dirty else None,
        turn=_turn(_behind(texture, "Vector")),
        strength=float(background.inputs["Strength"].default_value),
    )


def write(light: KnownLight, folder: Path) -> None:
    """Write the image into the job folder where it has no file that the backend reads; nothing to do otherwise."""
    if light.file is not None:
        return
    target = folder / FILE
    if packed := _packed_exr(bpy.data.images[light.image]):
        target.write_bytes(packed)
        return
    picture = bpy.data.images[light.image].copy()
    made = None
    try:
        if picture.size[0] > WIDTH:
            picture.scale(WIDTH, WIDTH // 2)
        width, height = picture.size
        pixels = np.empty(width * height * 4, np.float32)
        picture.pixels.foreach_get(pixels)
        made = bpy.data.images.new("Unrender Known Light", width, height, float_buffer=True)
        made.colorspace_settings.name = "Non-Color"  # else the numbers are encoded when they are saved
        made.pixels.foreach_set(pixels)
        made.file_format = "OPEN_EXR"
        made.filepath_raw = str(target)
        made.save()
    except RuntimeError as error:
        raise OSError(str(error).strip()) from error
    finally:
        for image in filter(None, (picture, made)):
            bpy.data.images.remove(image)


def _packed_exr(image: bpy.types.Image) -> bytes:
    """The EXR file that the image keeps in this file, as it was packed; empty where it has none, or was painted on since."""
    if image.packed_file is None or image.is_dirty:
        return b""
    data = bytes(image.packed_file.data)
    return data if data[:4] == b"\x76\x2f\x31\x01" else b""


def _turn(node: bpy.types.Node | None) -> float:
    if node is None or node.type == "TEX_COORD":
        return 0.0
    if node.type != "MAPPING" or node.vector_type not in {"POINT", "VECTOR", "TEXTURE"}:
        raise _refusal("something other than a Mapping node turns the world's image")
    if any(node.inputs[name].is_linked for name in ("Rotation", "Scale")):
        raise _refusal("the world's Mapping node is driven by other nodes")
    x, y, z = node.inputs["Rotation"].default_value
    moved = "Location" in node.inputs and any(abs(v) > 1e-6 for v in node.inputs["Location"].default_value)
    if abs(x) > 1e-6 or abs(y) > 1e-6 or moved or any(abs(v - 1) > 1e-6 for v in node.inputs["Scale"].default_value):
        raise _refusal("the world's Mapping node does more than turn about Z")
    return float(-z if node.vector_type == "TEXTURE" else z)


def _behind(node: bpy.types.Node | None, socket: str) -> bpy.types.Node | None:
    if node is None or not node.inputs[socket].is_linked:
        return None
    return node.inputs[socket].links[0].from_node


def _refusal(what: str) -> RequestError:
    return RequestError(
        f"this world cannot be the known light: {what}",
        hint="Light the world by one Environment Texture, or set Light to Unknown.",
        code="world-not-hdri",
    )
