"""Wavefront OBJ with its MTL: Y up like glTF, v up (flipped here), the PBR extension (Pr, Pm, map_Pr, map_Pm, norm) where it is used.

Materials marked `bsdf pbr` keep occlusion, roughness and metallic in the three channels of Ks and map_Ks.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
from torch import Tensor

from backend.contract import RequestError
from backend.dataset.mesh_file import (
    Corners,
    SurfaceMaps,
    TexturedMesh,
    assemble,
    color_map,
    constant,
    normal_map,
    value_map,
)
from backend.dataset.picture_file import read_picture

PLAIN = "plain"  # the material of faces that name none


def read_obj(path: Path, material: Path | None = None) -> TexturedMesh:
    """Read an OBJ file. `material` is an MTL file used instead of those it names.

    Raises RequestError (mesh-unreadable, mesh-no-uv, mesh-empty, material-missing), which names file and line.
    """
    positions: list[list[float]] = []
    uvs: list[list[float]] = []
    normals: list[list[float]] = []
    triangles: list[list[tuple[int, int, int]]] = []  # three corners, each with its indices of position, uv, normal
    names: list[str] = []
    libraries: list[Path] = [] if material is None else [material]
    current = PLAIN
    for number, line in enumerate(_lines(path), start=1):
        key, _, rest = line.strip().partition(" ")
        try:
            if key == "v":
                positions.append([float(word) for word in rest.split()[:3]])
            elif key == "vt":
                uvs.append([float(word) for word in [*rest.split(), "0"][:2]])
            elif key == "vn":
                normals.append([float(word) for word in rest.split()[:3]])
            elif key == "f":
                corners = [_corner(word, len(positions), len(uvs), len(normals)) for word in rest.split()]
                for second, third in itertools.pairwise(corners[1:]):
                    triangles.append([corners[0], second, third])
                    names.append(current)
            elif key == "usemtl":
                current = rest.strip()
            elif key == "mtllib" and material is None:
                libraries.append(path.parent / rest.strip())
        except (ValueError, IndexError):
            raise RequestError(
                f"{path}, line {number}: '{line.strip()[:60]}' is not valid",
                hint="export the mesh again",
                code="mesh-unreadable",
            ) from None
    if not triangles:
        raise RequestError(f"{path}: the mesh has no triangles", hint="export the object as a mesh", code="mesh-empty")
    index = np.array(triangles)
    if (index[..., 1] < 0).any():
        raise RequestError(
            f"{path}: the mesh has no texture coordinates",
            hint="unwrap it (in Blender: UV > Smart UV Project) and export it with UVs",
            code="mesh-no-uv",
        )
    texture_points = np.array(uvs)
    texture_points[:, 1] = 1.0 - texture_points[:, 1]
    used = sorted(set(names))
    library = _read_libraries(libraries)
    if (
        material is not None and len(library) == 1
    ):  # a file with one material stands for whatever the mesh calls its own
        library = dict.fromkeys(used, next(iter(library.values())))
    corners_read = Corners(
        positions=np.array(positions)[index[..., 0]],
        uvs=texture_points[index[..., 1]],
        normals=np.array(normals)[index[..., 2]] if normals and (index[..., 2] >= 0).all() else None,
        material=np.searchsorted(used, names),
    )
    return assemble(corners_read, [_maps(library, name, path) for name in used], path)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ").splitlines()
    except OSError as error:
        raise RequestError(
            f"{path}: {error.strerror}", hint="check the file's name and permissions", code="mesh-unreadable"
        ) from None


def _corner(word: str, *counts: int) -> tuple[int, int, int]:
    """'7/3/2' -> zero-based indices of position, uv, normal; -1 where left out. Negative ones count from the end."""
    indices = []
    for text, count in zip([*word.split("/"), "", ""][:3], counts):
        if not text:
            indices.append(-1)
            continue
        index = int(text) - 1 if int(text) > 0 else count + int(text)
        if not 0 <= index < count:
            raise IndexError
        indices.append(index)
    if indices[0] < 0:
        raise ValueError
    return indices[0], indices[1], indices[2]


def _read_libraries(paths: list[Path]) -> dict[str, tuple[Path, dict[str, str]]]:
    """Material name -> its MTL file's folder and its statements, keys in small letters."""
    materials: dict[str, tuple[Path, dict[str, str]]] = {}
    for path in paths:
        statements: dict[str, str] = {}
        for line in _lines(path):
            key, _, rest = line.strip().partition(" ")
            if key == "newmtl":
                statements = {}
                materials[rest.strip()] = path.parent, statements
            elif key and not key.startswith("#"):
                statements[key.lower()] = rest.strip()
    return materials


def _maps(library: dict[str, tuple[Path, dict[str, str]]], name: str, path: Path) -> SurfaceMaps:
    """A material's statements as maps; a mesh without a material gets mid grey, rough, not metallic."""
    if name not in library:
        if name == PLAIN or not library:
            return SurfaceMaps(constant(0.5, 0.5, 0.5), constant(0.5), constant(0.0))
        raise RequestError(
            f"{path}: its material '{name}' is in none of its MTL files, which hold {', '.join(library)}",
            hint="export the mesh with its materials",
            code="material-missing",
        )
    folder, statements = library[name]

    def numbers(key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        try:
            return (
                tuple(float(word) for word in statements[key].split()[: len(default)]) if key in statements else default
            )
        except ValueError:
            raise RequestError(
                f"{path}: material '{name}': {key} is '{statements[key]}'; expected numbers",
                hint="correct the MTL file",
                code="mesh-unreadable",
            ) from None

    def texture(key: str) -> Path | None:
        return _texture_file(folder, statements[key]) if key in statements else None

    packed = statements.get("bsdf", "").lower() == "pbr"
    _, roughness, metallic = numbers("ks", (0.0, 0.5, 0.0)) if packed else (0.0, 0.0, 0.0)
    if not packed:  # Blender's reading of the Phong exponent
        roughness = 1.0 - math.sqrt(min(max(numbers("ns", (250.0,))[0], 0.0), 1000.0) / 1000.0)
    roughness_map: Tensor = constant(*numbers("pr", (roughness,)))
    metallic_map: Tensor = constant(*numbers("pm", (metallic,)))
    base_color: Tensor = constant(*numbers("kd", (0.8, 0.8, 0.8)))
    color_file, packed_file = texture("map_kd"), texture("map_ks") if packed else None
    roughness_file, metallic_file = texture("map_pr"), texture("map_pm")
    if color_file is not None:
        base_color = color_map(read_picture(color_file))
    if packed_file is not None:
        values = value_map(read_picture(packed_file))
        roughness_map, metallic_map = values[..., 1:2].contiguous(), values[..., 2:3].contiguous()
    if roughness_file is not None:
        roughness_map = value_map(read_picture(roughness_file))[..., :1].contiguous()
    if metallic_file is not None:
        metallic_map = value_map(read_picture(metallic_file))[..., :1].contiguous()
    normal = None
    for key in ("norm", "map_bump", "bump"):
        file = texture(key)
        picture = None if file is None else read_picture(file)
        if picture is not None and picture.values.shape[2] >= 3:  # a grey one holds heights
            normal = normal_map(picture)
            break
    return SurfaceMaps(base_color, roughness_map, metallic_map, normal)


def _texture_file(folder: Path, statement: str) -> Path:
    """The file of a map statement, which may have options before it and blanks in its name."""
    words = statement.replace("\\", "/").split()
    for start in range(len(words)):
        candidate = folder / " ".join(words[start:])
        if candidate.is_file():
            return candidate
    return folder / (words[-1] if words else "")
