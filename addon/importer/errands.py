"""Meshes made by a second Blender, because what makes them cannot be done in slices: split normals, and thinning by edge collapse.

What goes there is a result's mesh.npz, or a mesh of this file; what comes back are library files, each of one mesh, that are taken in a
few hundredths of a second. Where no second Blender can be started the meshes are made here, and the window waits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import child
from ..slices import Slice, Slices
from . import levels, mesh

LIST, SOURCE = "errand.json", "source.blend"
SCRIPT = """from {package}.addon.importer import errands
errands.run({place!r})
"""


@dataclass(frozen=True)
class Errand:
    """What is to be made.

    Attributes:
        source: a mesh.npz, or a library file that holds one mesh.
        full: the mesh itself is wanted, from a mesh.npz.
        ratios: the levels of detail that are wanted, as shares of its triangles.
    """

    source: str
    full: bool
    ratios: tuple[float, ...]

    def names(self) -> list[str]:
        """The files that come back, in the order they are made."""
        return (["full.blend"] if self.full else []) + [f"level {ratio}.blend" for ratio in self.ratios]


def run(place: str) -> None:
    """Do the errand in the folder `place`; what the second Blender calls."""
    folder = Path(place)
    data = json.loads((folder / LIST).read_text(encoding="utf-8"))
    errand = Errand(data["source"], data["full"], tuple(data["ratios"]))
    source = Path(errand.source)
    whole = take(source) if source.suffix == ".blend" else mesh.build("full", mesh.read(source))
    if errand.full:
        give(whole, folder / "full.blend")
    for ratio in errand.ratios:
        give(levels.thinned(whole, ratio), folder / f"level {ratio}.blend")


def give(block: bpy.types.Mesh, file: Path) -> None:
    """Write the mesh, and nothing that it uses, to a library file, which appears when it is complete."""
    for index in range(len(block.materials)):
        block.materials[index] = None  # the slots stay, for the faces name them by number
    part = file.with_suffix(".part")
    bpy.data.libraries.write(str(part), {block}, fake_user=True, compress=False)
    part.replace(file)


def copy_out(block: bpy.types.Mesh, file: Path) -> None:
    """Write a copy of a mesh of this file to a library file."""
    copy = block.copy()  # shares its arrays
    try:
        give(copy, file)
    finally:
        bpy.data.meshes.remove(copy)


def take(file: Path) -> bpy.types.Mesh:
    """A new mesh in this file from a library file."""
    load: Any = bpy.data.libraries.load  # whose stubs know nothing of what it gives
    with load(str(file), link=False) as (there, wanted):
        wanted.meshes = list(there.meshes)
    (block,) = wanted.meshes
    block.use_fake_user = False
    for library in [each for each in bpy.data.libraries if Path(bpy.path.abspath(each.filepath)) == file]:
        bpy.data.libraries.remove(library)  # nothing is linked from it, and its file goes
    return block


def send(second: child.Child, errand: Errand) -> None:
    """Start a second Blender on the errand; EnvironmentFault or OSError where that is impossible."""
    (second.place / LIST).write_text(json.dumps(asdict(errand)), encoding="utf-8")
    script = SCRIPT.format(package=child.PACKAGE, place=str(second.place))
    second.start(child.command(bpy.app.binary_path), None, script)


def waiting(second: child.Child, errand: Errand) -> Slices[None]:
    """Wait until all is made; EnvironmentFault where the second Blender ended without. How it ends after that is no matter."""
    files = [second.place / name for name in errand.names()]
    while True:
        ended = second.ended()  # asked first, so that nothing made before the end is missed
        done = sum(file.is_file() for file in files)
        if done == len(files):
            return
        if ended:
            raise second.fault()
        level = done + 1 - errand.full
        says = f"Level {level} of {len(errand.ratios)}" if level > 0 else "Building the mesh"
        yield Slice(says, done / len(files), waits=True)


def fetched(second: child.Child, errand: Errand) -> Slices[tuple[bpy.types.Mesh | None, dict[float, bpy.types.Mesh]]]:
    """Take what was made into this file, a slice each: the mesh itself where it was wanted, and the levels by share."""
    made = []
    for name in errand.names():
        made.append(take(second.place / name))
        yield Slice("Adding the mesh", 1.0)
    full = made.pop(0) if errand.full else None
    return full, dict(zip(errand.ratios, made))
