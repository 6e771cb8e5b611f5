from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.export.asset import Arrays, to_y_up

_HEADER = """\
# Unrender
# Y up, -Z forward, as OBJ readers assume (Blender's importer by default); unit: the scene's own
"""
_MATERIAL = """\
# Unrender. Pr, Pm, map_Pr, map_Pm and norm are the PBR extension; the textures of roughness, metallic and normal are linear data.
newmtl {name}
Kd 1 1 1
Pr 1
Pm 1
illum 2
map_Kd {folder}/base_color.png
map_Pr {folder}/roughness.png
map_Pm {folder}/metallic.png
norm {folder}/normal.png
"""
_OPACITY = """\
# map_d is the picture's alpha
map_d {folder}/base_color.png
"""


def write_obj(
    path: Path, arrays: Arrays, textures: str = "textures", name: str = "Unrender", opaque: bool = True
) -> None:
    """Write an .obj, and the .mtl of the same name beside it.

    Args:
        path: the .obj file.
        arrays: the geometry, Z up; it is turned to Y up, and v to OBJ's v up.
        textures: folder of the textures, relative to the .obj.
        name: of the object and the material.
        opaque: False where the base colour has an alpha.

    Raises:
        OSError: one of the two cannot be written.
    """
    uvs = arrays.uvs * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
    corners = np.stack([arrays.faces, arrays.uv_faces, arrays.faces], axis=2).reshape(-1, 9) + 1
    parts = [
        _HEADER,
        f"mtllib {path.with_suffix('.mtl').name}\no {name}\n",
        _lines("v %.9g %.9g %.9g", to_y_up(arrays.vertices)),
        _lines("vt %.9g %.9g", uvs),
        _lines("vn %.6g %.6g %.6g", to_y_up(arrays.normals)),
        f"usemtl {name}\ns 1\n",
        _lines("f %d/%d/%d %d/%d/%d %d/%d/%d", corners),
    ]
    path.write_text("".join(parts), encoding="utf-8", newline="\n")
    material = (_MATERIAL + ("" if opaque else _OPACITY)).format(name=name, folder=textures)
    path.with_suffix(".mtl").write_text(material, encoding="utf-8", newline="\n")


def _lines(form: str, values: np.ndarray) -> str:
    return "\n".join(form % tuple(row) for row in values.tolist()) + "\n"
