"""Which data sets can be fetched, from where, and in which folder a configuration looks for them. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mirror:
    """One address of an archive.

    Attributes:
        url: where it is.
        sha256: of the file there, as the page of its host states it; empty where nobody states one.
    """

    url: str
    sha256: str = ""


@dataclass(frozen=True)
class Archive:
    """A file that holds one scene or more.

    Attributes:
        name: what it is called on disk.
        mirrors: tried in this order.
        page: where a person finds it with a browser.
        licence: what its makers ask, for whoever fetches it.
        synthetic: it has the layout of NeRF-synthetic; otherwise NeRD's (images/, masks/, poses_bounds.npy).
    """

    name: str
    mirrors: tuple[Mirror, ...]
    page: str
    licence: str
    synthetic: bool = False


@dataclass(frozen=True)
class Scene:
    """What one configuration reads.

    Attributes:
        config: its name.
        folder: where it looks, in the folder of all data.
        inside: the scene's folder in the archive; empty where the archive is the scene.
        archive: what holds it.
        size: pixels of the long side that its images get, or 0 to leave them as they are.
        alias: another name beside the folder, under which configurations of the reference method look for it; empty for none.
    """

    config: str
    folder: str
    inside: str
    archive: Archive
    size: int = 0
    alias: str = ""


def _github(repository: str, *commits: str) -> tuple[Mirror, ...]:
    return tuple(Mirror(f"https://github.com/{repository}/archive/{commit}.zip") for commit in commits)


NERF_SYNTHETIC = Archive(
    name="nerf_synthetic.zip",
    mirrors=(
        Mirror(
            "https://huggingface.co/datasets/YouLiXiya/nerf/resolve/3d80caf405540d16337de4fe3219bb69be7cbaa4/nerf_synthetic.zip",
            "5e36e96ba8e3564835e9313a47f088aa26eeb88093dcccc695bdb1adec398efd",  # the host's page of the file, under LFS details
        ),
        Mirror(
            "https://drive.usercontent.google.com/download?id=18JxhpWD-4ZmuFKLzKlAw-w5PpzZxXOcG&export=download&confirm=t"
        ),
        Mirror("https://huggingface.co/datasets/XayahHina/nerf_synthetic/resolve/main/nerf_synthetic.zip"),
        Mirror("https://huggingface.co/donydchen/matchnerf/resolve/main/nerf_synthetic.zip"),
    ),
    page="https://drive.google.com/drive/folders/128yBriW1IG_3NJ5Rp7APSTZsJqdJdfc1 (the NeRF authors' own)",
    licence="scenes by BlendSwap artists, each with a licence of its own: see README.txt in the archive",
    synthetic=True,
)
ETHIOPIAN_HEAD = Archive(
    name="ethiopianHead.zip",
    # the branch's newest state is what a clone gets; the commit is the one whose cameras our reader was checked with
    mirrors=_github("vork/ethiopianHead", "HEAD", "a7061eb314f07ca6ab8415c3a01bb9bc5fd76b50"),
    page="https://github.com/vork/ethiopianHead",
    licence="CC BY-NC-SA 4.0: British Museum, Daniel Pett; cameras by the authors of NeRD",
)
MOLD_GOLD_CAPE = Archive(
    name="moldGoldCape.zip",
    mirrors=_github("vork/moldGoldCape", "HEAD", "c7ef1f0f2a7c2ec5ea7fa3fb43a01ed56fc5216b"),
    page="https://github.com/vork/moldGoldCape",
    licence="CC BY-NC-SA: British Museum, Daniel Pett and Tom Flynn; cameras by the authors of NeRD",
)

_SYNTHETIC = ("chair", "drums", "ficus", "hotdog", "lego", "materials", "mic", "ship")
SCENES = (
    *(Scene(f"nerf_{name}", f"nerf_synthetic/{name}", name, NERF_SYNTHETIC) for name in _SYNTHETIC),
    Scene("nerd_ehead", "nerd/ethiopianHead", "", ETHIOPIAN_HEAD, 512, "ethiopianHead_rescaled"),
    Scene("nerd_gold", "nerd/moldGoldCape", "", MOLD_GOLD_CAPE, 512, "moldGoldCape_rescaled"),
)
GROUPS = {
    "nerf_synthetic": tuple(scene.config for scene in SCENES if scene.archive.synthetic),
    "nerd": tuple(scene.config for scene in SCENES if not scene.archive.synthetic),
    "all": tuple(scene.config for scene in SCENES),
}


def chosen(names: list[str]) -> list[Scene]:
    """The scenes of these names, in the list's order: configurations, groups, or the scenes' own names (lego, ethiopianHead).

    Raises ValueError, which lists what there is.
    """
    found: set[str] = set()
    for name in names:
        own = {
            scene.config for scene in SCENES if name in (scene.config, scene.folder, scene.folder.rpartition("/")[2])
        }
        if not (own or name in GROUPS):
            known = ", ".join([*GROUPS, *(scene.config for scene in SCENES)])
            raise ValueError(f"no data set is called {name!r}; there are {known}")
        found |= own | set(GROUPS.get(name, ()))
    return [scene for scene in SCENES if scene.config in found]
