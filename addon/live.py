"""What a running job shows before it is done: a picture in the panel and a coarse mesh in the viewport. Neither stays behind.

No reference to a data-block is held from one call to the next: undo and File > Open may free it. The picture lives in a preview
collection, which is no part of the file.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews
import numpy as np

NAME = "Unrender Preview"  # of the collection, its object and its mesh
MARK = "unrender_preview"  # the property by which ours is told from the artist's own of that name
SIDE = 256  # of the picture in the panel, in pixels: what the interface shows
STRIP = ("PHOTO", "RENDER", "DIFFERENCE")  # the tiles of a preview, from the left


class Pictures:
    """The one picture of the panel, replaced in place."""

    def __init__(self) -> None:
        self._icons: bpy.utils.previews.ImagePreviewCollection | None = None
        self._of: tuple[Path, str] | None = None
        self._serial = 0

    def show(self, path: Path, part: str) -> None:
        """Cut `part` of the file out, unless it is what is shown already; an unreadable file leaves the picture as it is."""
        if self._of == (path, part):
            return
        self._of = (path, part)
        tile = read_tile(path, part)
        if tile is None:
            self.clear()
            self._of = (path, part)
            return
        if self._icons is None:
            self._icons = bpy.utils.previews.new()
        self._icons.clear()
        self._serial += 1
        icon = self._icons.new(str(self._serial))
        icon.image_size = (tile.shape[1], tile.shape[0])
        icon.image_pixels_float.foreach_set(tile.ravel())

    def icon(self) -> int:
        """The icon's number for `template_icon`; 0 where there is no picture."""
        if self._icons is None or not len(self._icons):
            return 0
        return next(iter(self._icons.values())).icon_id

    def clear(self) -> None:
        """Forget the picture."""
        if self._icons is not None:
            bpy.utils.previews.remove(self._icons)
        self._icons, self._of = None, None


def read_tile(path: Path, part: str) -> np.ndarray | None:
    """[H, W, 4] of one part of a preview, row 0 at the bottom, no side longer than `SIDE`; None where it cannot be had.

    The photo, the render and their difference stand side by side in `path`; the maps are in a file of their own beside it.
    """
    file = path.with_name(f"{path.stem}-maps{path.suffix}") if part == "MAPS" else path
    if not file.is_file():
        return None
    try:
        image = bpy.data.images.load(str(file), check_existing=False)
    except RuntimeError:
        return None
    try:
        width, height = image.size
        if not width or not height:
            return None
        every = max(1, -(-max(width // (len(STRIP) if part in STRIP else 1), height) // SIDE))
        if every > 1:
            width, height = max(1, width // every), max(1, height // every)
            image.scale(width, height)
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    picture = pixels.reshape(height, width, 4)
    if part in STRIP:
        third = width // len(STRIP)
        start = STRIP.index(part) * third
        picture = picture[:, start : start + third]
    return np.ascontiguousarray(picture)


def show_mesh(scene: bpy.types.Scene, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Put the mesh ([V, 3] float32, [F, 3] int32) into the scene's one preview object."""
    mesh = _preview_object(scene).data
    mesh.clear_geometry()
    mesh.vertices.add(len(vertices))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    # by their attributes: the same through `vertices` and `loops` takes several hundred times as long
    mesh.attributes["position"].data.foreach_set("vector", vertices.ravel())
    mesh.attributes[".corner_vert"].data.foreach_set("value", faces.ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)


def shown(scene: bpy.types.Scene) -> bool:
    """True while the scene has a preview object."""
    return any(_ours(collection) for collection in scene.collection.children)


def remove() -> None:
    """Take every preview object out of the file, whichever scene it is in."""
    for collection in [each for each in bpy.data.collections if _ours(each)]:
        for thing in list(collection.objects):
            mesh = thing.data
            bpy.data.objects.remove(thing)
            if mesh is not None and not mesh.users:
                bpy.data.meshes.remove(mesh)
        bpy.data.collections.remove(collection)


def _preview_object(scene: bpy.types.Scene) -> bpy.types.Object:
    collection = next((each for each in scene.collection.children if _ours(each)), None)
    if collection is None:
        collection = bpy.data.collections.new(NAME)
        collection[MARK] = True
        collection.hide_render = True
        scene.collection.children.link(collection)
    thing = next(iter(collection.objects), None)
    if thing is None or thing.type != "MESH":
        thing = bpy.data.objects.new(NAME, bpy.data.meshes.new(NAME))
        thing.hide_select = True
        thing.show_wire = True
        collection.objects.link(thing)
    return thing


def _ours(collection: bpy.types.Collection) -> bool:
    return bool(collection.get(MARK)) and collection.library is None
