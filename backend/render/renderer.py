from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.dataset.views import Cameras
from backend.engines.interface import Engine, Raster
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.camera import clip_positions
from backend.render.layers import composite, peel, stacked
from backend.render.rows import gather, per_pixel, spread
from backend.render.shade import Shaded, shade


@dataclass(frozen=True)
class Surface:
    """What the renderer draws: geometry with whatever the material needs at each corner.

    Attributes:
        vertices: [V, 3] positions.
        faces: [T, 3] int32.
        normals: [V, 3] smooth unit normals, indexed by `faces`; or [L, 3], indexed by `normal_faces`.
        adjacency: [T, 3] int32 from `engines.adjacency.edge_adjacency(faces)`.
        uvs, uv_faces: [U, 2] and [T, 3] int32 texture coordinates (v down), or None.
        tangents, tangent_faces: [K, 4] (xyz, sign) and [T, 3] int32 MikkTSpace frames, or None.
        layers: surfaces behind one another that a pixel shows at the most. With 1 the nearest is all there is, and opaque; with more
            the material's opacity counts, and a surface seen from behind is shaded as Cycles does it, its normal turned round.
    """

    vertices: Tensor
    faces: Tensor
    normals: Tensor
    adjacency: Tensor
    uvs: Tensor | None = None
    uv_faces: Tensor | None = None
    tangents: Tensor | None = None
    tangent_faces: Tensor | None = None
    normal_faces: Tensor | None = None
    layers: int = 1


@dataclass(frozen=True)
class Pixels:
    """The covered pixels of B images as one compact list of M, the only ones that are shaded.

    With L layers a pixel is in the list as often as it has layers, those of the nearest first.

    With a capacity M is that number whatever is covered: rows beyond the covered pixels are blank (zeros, no gradient), pixels beyond the
    capacity are left out.

    Attributes:
        index: [M] int64 into the flattened [L * B * H * W], which is L * B * H * W for a blank row.
        covered: [] int64 how many pixels are covered, which may be more than M; the blank rows come last.
        real: [M, 1] bool which rows are not blank, or None where all are real.
        image: [M] int64 which of the B images.
        position: [M, 3].
        normal: [M, 3] smooth normal as interpolated, not quite of unit length (MikkTSpace wants it so).
        view: [M, 3] unit, towards the camera.
        uv: [M, 2] and tangent: [M, 4] where the surface has them, else None.
        footprint: [M] texture level's log2 of texels a pixel for a texture of ONE texel, or None: add log2(texture size).
    """

    index: Tensor
    covered: Tensor
    real: Tensor | None
    image: Tensor
    position: Tensor
    normal: Tensor
    view: Tensor
    uv: Tensor | None
    tangent: Tensor | None
    footprint: Tensor | None


@dataclass(frozen=True)
class Frame:
    """B rendered images and the lists behind them.

    Attributes:
        image: [B, H, W, 4] linear colour premultiplied by alpha, alpha (coverage, and opacity where there is one); silhouettes antialiased.
        pixels: the covered pixels' geometry.
        sample: their material.
        shaded: their light, split into diffuse and specular.
    """

    image: Tensor
    pixels: Pixels
    sample: MaterialSample
    shaded: Shaded


Material = Callable[[Pixels], MaterialSample]


class Renderer:
    """Draws surfaces under an environment light with one engine.

    Attributes:
        engine: maker of the primitives.
        walk: triangles the silhouette search may cross (see `Engine.antialias`). Near the outline they are seen edge-on, many to a
            pixel: with 8, a ball of 13 800 triangles in 128 pixels has 20 to 61 % of its true gradient; with 32, all of it
            at the same cost, since only the few pixels that need the steps take them.
    """

    def __init__(self, engine: Engine, walk: int = 32) -> None:
        self.engine, self.walk = engine, walk

    def render(
        self,
        surface: Surface,
        material: Material,
        light: PrefilteredLight,
        cameras: Cameras,
        canvas: tuple[int, int],
        capacity: int | None = None,
    ) -> Frame:
        """Draw B views.

        Args:
            surface: geometry on the engine's device.
            material: evaluated once for all covered pixels.
            light: prefiltered environment.
            cameras: B cameras.
            canvas: (height, width).
            capacity: most covered pixels, of all layers together, that are shaded, which fixes every shape beforehand so that nothing
                waits for the device; None takes all, and waits to count them.

        Returns:
            A Frame; gradients reach vertices and cameras (through shading, interpolation and silhouettes), material and light.
        """
        clip = clip_positions(surface.vertices, cameras, canvas)
        known = surface.uvs is not None
        layers = peel(self.engine, clip, surface.faces, canvas, surface.layers, known, stop_early=capacity is None)
        raster = stacked(layers)
        pixels = covered_pixels(self.engine, surface, raster, cameras, capacity)
        sample = material(pixels)
        relief = sample.normal is not None and pixels.tangent is not None
        normal = pixels.normal if relief else torch.nn.functional.normalize(pixels.normal, dim=-1)
        view, tangent = pixels.view, pixels.tangent if relief else None
        if light.camera_axes is not None:
            turn = per_pixel(light_turns(light.camera_axes, cameras), pixels.index, raster.triangle.shape)
            normal, view = turned(turn, normal), turned(turn, view)
            tangent = None if tangent is None else torch.cat([turned(turn, tangent[:, :3]), tangent[:, 3:]], -1)
        shaded = shade(sample, normal, view, light, self.engine, tangent)
        flat = torch.cat([shaded.color, torch.ones_like(shaded.color[:, :1])], -1)
        if surface.layers > 1 and sample.opacity is not None:
            flat = flat * sample.opacity
        image = spread(flat, pixels.index, raster.triangle.numel()).view(len(layers), -1, *canvas, 4)
        image = composite(self.engine, image, layers, clip, surface.faces, surface.adjacency, self.walk)
        return Frame(image, pixels, sample, shaded)


def covered_pixels(
    engine: Engine, surface: Surface, raster: Raster, cameras: Cameras, capacity: int | None = None
) -> Pixels:
    """The geometry at each covered pixel, in row order of the flattened images; `raster` holds the cameras' images once for each layer."""
    flat_triangle = raster.triangle.reshape(-1)
    total, seen = flat_triangle.numel(), flat_triangle >= 0
    if capacity is None:
        index = seen.nonzero().squeeze(1)
        covered = torch.tensor(index.shape[0], device=index.device)
        place, triangle = index, flat_triangle[index]
    else:
        index = torch.nonzero_static(seen, size=capacity, fill_value=total).squeeze(1)
        covered = seen.sum()
        place = index.clamp(max=total - 1)
        triangle = torch.where(index < total, flat_triangle[place], -1)
    barycentric = gather(raster.barycentric.reshape(-1, 4), index)
    if surface.normal_faces is None:
        attributes = torch.cat([surface.vertices, surface.normals], -1)
        position, normal = engine.interpolate(attributes, surface.faces, barycentric, triangle).split(3, -1)
    else:
        position = engine.interpolate(surface.vertices, surface.faces, barycentric, triangle)
        normal = engine.interpolate(surface.normals, surface.normal_faces, barycentric, triangle)
    image = place // raster.triangle[0].numel() % len(cameras)
    eye = per_pixel(cameras.camera_to_world[:, :3, 3], index, raster.triangle.shape)
    view = torch.nn.functional.normalize(eye - position, dim=-1)
    uv = tangent = footprint = None
    if surface.uvs is not None and surface.uv_faces is not None:
        uv = engine.interpolate(surface.uvs, surface.uv_faces, barycentric, triangle)
        if raster.derivatives is not None:
            corners = surface.uvs.detach()[surface.uv_faces[triangle.clamp(min=0).long()].long()]
            footprint = texture_footprint(corners, raster.derivatives.reshape(-1, 4)[place])
    if surface.tangents is not None and surface.tangent_faces is not None:
        tangent = engine.interpolate(surface.tangents, surface.tangent_faces, barycentric.detach(), triangle)
    if surface.layers > 1:
        facing = _facing(surface, triangle, view)
        normal = facing * normal
        tangent = None if tangent is None else facing * tangent  # its sign too: the bitangent turns with the frame
    return Pixels(
        index=index,
        covered=covered,
        real=None if capacity is None else (index < total)[:, None],
        image=image,
        position=position,
        normal=normal,
        view=view,
        uv=uv,
        tangent=tangent,
        footprint=footprint,
    )


def _facing(surface: Surface, triangle: Tensor, view: Tensor) -> Tensor:
    """[M, 1] 1.0 where the triangle shows its front to the viewer, -1.0 where its back."""
    first, second, third = surface.vertices.detach()[surface.faces[triangle.clamp(min=0).long()].long()].unbind(1)
    outwards = torch.linalg.cross(second - first, third - first)
    return torch.where((outwards * view.detach()).sum(-1, keepdim=True) < 0.0, -1.0, 1.0)


def light_turns(camera_axes: Tensor, cameras: Cameras) -> Tensor:
    """[B, 9] rotations, row by row, from the world to the axes of a light that turns with the camera.

    The shading model knows directions alone: turning these turns the light about the object.
    """
    return (camera_axes @ cameras.camera_to_world[:, :3, :3].transpose(1, 2)).flatten(1)


def turned(turn: Tensor, vectors: Tensor) -> Tensor:
    """Rotations [M, 9] applied to vectors [M, 3]."""
    return (turn.unflatten(1, (3, 3)) * vectors[:, None]).sum(-1)


def texture_footprint(corners: Tensor, derivatives: Tensor) -> Tensor:
    """The mip level a pixel wants of a texture one texel wide; a texture of n texels wants log2(n) more.

    Args:
        corners: [M, 3, 2] texture coordinates of each pixel's triangle.
        derivatives: [M, 4] du/dx, du/dy, dv/dx, dv/dy of the barycentrics (v here is the second weight).

    Returns:
        [M] log2 of the longer side of the pixel's footprint, in texture widths. No gradient.
    """
    first, second = corners[:, 0] - corners[:, 2], corners[:, 1] - corners[:, 2]
    along_x = derivatives[:, 0:1] * first + derivatives[:, 2:3] * second
    along_y = derivatives[:, 1:2] * first + derivatives[:, 3:4] * second
    longest = torch.maximum(along_x.square().sum(-1), along_y.square().sum(-1))
    return 0.5 * torch.log2(longest.clamp(min=1e-16))
