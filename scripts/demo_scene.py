"""The demo's first half, run by a Python that has bpy: build a ginger jar under an HDRI and photograph it with the extension.

    python scripts/demo_scene.py --extension dist/unrender-0.1.0.zip --output build/demo/job [--blend build/demo/truth.blend]

The jar is porcelain with cobalt drawings, gilded rings and handles, and an unglazed foot and knob: fine colour, metal and glaze at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import demo_common
import numpy as np

demo_common.isolate()

import bpy  # noqa: E402

TEXTURE = 1024  # texels of a side
# (radius, height) from the foot to the knob, a Catmull-Rom spline through them; a point given twice makes an edge
PROFILE = (
    (0.0, 0.0), (0.40, 0.0), (0.46, 0.0), (0.46, 0.0), (0.47, 0.07), (0.47, 0.07), (0.56, 0.30), (0.76, 0.70), (0.86, 1.08), (0.82, 1.36),
    (0.64, 1.58), (0.52, 1.68), (0.52, 1.68), (0.60, 1.70), (0.60, 1.70), (0.60, 1.76), (0.60, 1.76), (0.54, 1.90), (0.34, 2.02),
    (0.12, 2.07), (0.12, 2.07), (0.17, 2.15), (0.14, 2.25), (0.0, 2.28),
)  # fmt: skip
CREAM, COBALT, GOLD, CLAY, CELADON = (
    np.array(color)
    for color in ((0.80, 0.76, 0.66), (0.03, 0.08, 0.36), (0.85, 0.52, 0.16), (0.42, 0.20, 0.10), (0.28, 0.50, 0.38))
)


def spline(points: np.ndarray, steps: int) -> np.ndarray:
    """[(N - 1) steps + 1, 2] a Catmull-Rom curve through [N, 2] points."""
    ends = np.concatenate([points[:1], points, points[-1:]])
    t = np.arange(steps)[:, None] / steps
    pieces = []
    for before, start, end, after in zip(ends, ends[1:], ends[2:], ends[3:]):
        cubic = 2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
        pieces.append(0.5 * (cubic + (3 * start - before - 3 * end + after) * t**3))
    return np.concatenate([*pieces, points[-1:]])


def lathe(profile: np.ndarray, sides: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn a profile about Z: vertices [V, 3], quads [F, 4], texture coordinates [F, 4, 2] (u around, v along the profile)."""
    rows = len(profile)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    vertices = np.concatenate(
        [profile[:, None, :1] * ring, np.broadcast_to(profile[:, None, 1:], (rows, sides, 1))], axis=-1
    )
    row, side = np.meshgrid(np.arange(rows - 1), np.arange(sides), indexing="ij")
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))  # (row, side): counter-clockwise from outside
    quads = np.stack([(row + r) * sides + (side + s) % sides for r, s in corners], axis=-1)
    uvs = np.stack(
        [np.stack([(side + s) / sides, (length / length[-1])[row + r]], axis=-1) for r, s in corners], axis=-2
    )
    return vertices.reshape(-1, 3), quads.reshape(-1, 4), uvs.reshape(-1, 4, 2)


def paint(profile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The jar's textures, row 0 at v = 0: base colour [T, T, 3] linear, roughness [T, T], metallic [T, T]."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    v, u = np.meshgrid((np.arange(TEXTURE) + 0.5) / TEXTURE, (np.arange(TEXTURE) + 0.5) / TEXTURE, indexing="ij")
    height = np.interp(v, length / length[-1], profile[:, 1])
    flat = v < np.interp(0.0 + 1e-6, profile[:, 1], length / length[-1])  # the underside
    color = np.broadcast_to(CREAM, (TEXTURE, TEXTURE, 3)).copy()
    roughness = np.full((TEXTURE, TEXTURE), 0.22)
    metallic = np.zeros((TEXTURE, TEXTURE))

    def dye(where: np.ndarray, pigment: np.ndarray, rough: float, metal: float = 0.0) -> None:
        color[where], roughness[where], metallic[where] = pigment, rough, metal

    def between(low: float, high: float) -> np.ndarray:
        return (height >= low) & (height < high)

    petals = np.abs(((u * 24) % 1.0) - 0.5) * 2.0  # 0 in the middle of a petal
    dye(between(0.07, 0.42) & (petals < 0.78 * np.sqrt(np.clip(1.0 - (height - 0.12) / 0.30, 0.0, 1.0))), COBALT, 0.30)
    dye(between(0.07, 0.42) & (petals < 0.40 * np.sqrt(np.clip(1.0 - (height - 0.12) / 0.22, 0.0, 1.0))), CELADON, 0.30)
    diamonds = np.abs(((u * 32) % 1.0) - 0.5) + np.abs(((height - 0.52) / 0.14 % 1.0) - 0.5)
    dye(between(0.52, 0.66) & (diamonds < 0.42), COBALT, 0.30)
    dye(between(0.52, 0.66) & (diamonds < 0.18), CLAY, 0.45)
    ink = demo_common.lettering("UNRENDER * ")  # the word once around the belly, upright seen from outside
    column = (u * ink.shape[1]).astype(int) % ink.shape[1]
    line = np.floor((1.16 - height) / 0.36 * 7).astype(int)
    letters = between(0.80, 1.16) & ink[np.clip(line, 0, 6), column]
    dye(letters, COBALT, 0.30)
    scales = np.hypot(
        ((u * 28 + 0.5 * (np.floor((height - 1.26) / 0.07) % 2)) % 1.0) - 0.5, ((height - 1.26) / 0.07 % 1.0) * 0.9
    )
    dye(between(1.26, 1.54) & (np.abs(scales - 0.42) < 0.13), COBALT, 0.30)
    dye(between(1.26, 1.54) & (scales < 0.16), CELADON, 0.30)
    rays = np.abs(((u * 16 + 0.9 * (height - 1.8)) % 1.0) - 0.5)
    dye(between(1.78, 2.06) & (rays < 0.17), COBALT, 0.30)
    for low, high in ((0.44, 0.50), (0.70, 0.75), (1.19, 1.24), (1.56, 1.62), (1.69, 1.77)):
        dye(between(low, high), GOLD, 0.30, 1.0)
    dye(between(-1.0, 0.07) | flat | between(2.06, 3.0), CLAY, 0.75)
    return color, roughness, metallic


def image_of(name: str, values: np.ndarray, color_space: str) -> bpy.types.Image:
    """An 8-bit image data-block, packed, holding [T, T] or [T, T, 3] values as they are (row 0 at the bottom)."""
    image = bpy.data.images.new(name, TEXTURE, TEXTURE)
    image.colorspace_settings.name = color_space
    pixels = np.ones((TEXTURE, TEXTURE, 4), np.float32)
    pixels[..., :3] = values if values.ndim == 3 else values[..., None]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def shader(name: str) -> tuple[bpy.types.Material, bpy.types.ShaderNodeBsdfPrincipled]:
    """A new material and its Principled node."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    return material, next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def build_jar() -> bpy.types.Object:
    """The jar, standing on the origin, linked to the scene and selected."""
    profile = spline(np.array(PROFILE), 8)
    vertices, quads, uvs = lathe(profile, 128)
    mesh = bpy.data.meshes.new("Ginger Jar")
    mesh.from_pydata(vertices.tolist(), [], quads.tolist())
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", uvs.astype(np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(quads), bool))
    material, principled = shader("Porcelain")
    color, roughness, metallic = paint(profile)
    for socket, values, space in (
        ("Base Color", demo_common.encode_srgb(color), "sRGB"),
        ("Roughness", roughness, "Non-Color"),
        ("Metallic", metallic, "Non-Color"),
    ):
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image_of(f"Porcelain {socket}", values, space)
        material.node_tree.links.new(node.outputs["Color"], principled.inputs[socket])
    mesh.materials.append(material)
    gilding, principled = shader("Gilding")
    principled.inputs["Base Color"].default_value = (*GOLD, 1.0)
    principled.inputs["Metallic"].default_value = 1.0
    principled.inputs["Roughness"].default_value = 0.3
    jar = bpy.data.objects.new("Ginger Jar", mesh)
    bpy.context.scene.collection.objects.link(jar)
    handles = []
    for side in (-1.0, 1.0):
        bpy.ops.mesh.primitive_torus_add(
            location=(side * 0.86, 0.0, 1.36), rotation=(np.pi / 2, 0.0, 0.0), major_radius=0.19, minor_radius=0.065,
            major_segments=48, minor_segments=20,
        )  # fmt: skip
        handle = bpy.context.object
        handle.data.polygons.foreach_set("use_smooth", np.ones(len(handle.data.polygons), bool))
        handle.data.materials.append(gilding)
        handle.parent = jar
        handles.append(handle)
    for thing in bpy.context.selected_objects:
        thing.select_set(False)
    jar.select_set(True)
    bpy.context.view_layer.objects.active = jar
    return jar


def light_scene(name: str) -> None:
    """One of the HDRIs that come with Blender (CC0, Poly Haven) as the world."""
    path = Path(bpy.utils.system_resource("DATAFILES")) / "studiolights" / "world" / f"{name}.exr"
    if not path.is_file():
        raise SystemExit(
            f"no HDRI called {name!r}; there are {', '.join(sorted(item.stem for item in path.parent.glob('*.exr')))}"
        )
    world = bpy.data.worlds.new("Light")
    if world.node_tree is None:
        world.use_nodes = True
    texture = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = bpy.data.images.load(str(path))
    texture.image.colorspace_settings.name = "Linear Rec.709"
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    world.node_tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    bpy.context.scene.world = world


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extension", type=Path, required=True, help="the built zip")
    parser.add_argument(
        "--output", type=Path, required=True, help="job folder for the views; new, empty, or an earlier capture"
    )
    parser.add_argument("--blend", type=Path, help="also save the scene here")
    parser.add_argument("--views", type=int, default=32, help="views to fit (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=8, help="views kept for measuring (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=192, help="side of a view in pixels (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=24, help="Cycles samples a pixel (default: %(default)s)")
    parser.add_argument(
        "--light", default="city", help="name of an HDRI that comes with Blender (default: %(default)s)"
    )
    options = parser.parse_args()
    began = time.monotonic()
    demo_common.install_extension(options.extension)
    build_jar()
    light_scene(options.light)
    demo_common.few_bounces()
    settings = bpy.context.scene.unrender
    settings.folder = str(options.output.resolve())
    settings.source, settings.only_selected = "RIG", True
    settings.count, settings.held_out = options.views, options.held_out
    settings.resolution, settings.samples = options.resolution, options.samples
    bpy.ops.unrender.export_views()
    if options.blend:
        options.blend.parent.mkdir(parents=True, exist_ok=True)
        bpy.ops.wm.save_as_mainfile(filepath=str(options.blend.resolve()))
    print(f"{options.views + options.held_out} views in {options.output} after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
