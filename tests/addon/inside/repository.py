"""Add a remote repository, install from it, and update when it has a newer version."""

import shutil
from pathlib import Path

import bpy
from common import GIVEN, answer, refusal

repositories = bpy.context.preferences.extensions.repos
bpy.context.preferences.system.use_online_access = True
bpy.ops.preferences.extension_repo_add(name="Served", remote_url=GIVEN["url"], type="REMOTE")
index = next(i for i, repository in enumerate(repositories) if repository.remote_url == GIVEN["url"])
package = f"bl_ext.{repositories[index].module}.unrender"
bpy.ops.extensions.repo_sync(repo_index=index)
bpy.ops.extensions.package_install(repo_index=index, pkg_id="unrender", enable_on_install=True)
place = Path(repositories[index].directory) / "unrender"


def version():
    text = (place / "blender_manifest.toml").read_text(encoding="utf-8")
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("version"))


installed, early = version(), refusal(bpy.ops.unrender.cancel)
kept = Path(bpy.utils.extension_path_user(package, path="environments", create=True)) / "kept"
kept.touch()
for served in Path(GIVEN["newer"]).iterdir():
    shutil.copy(served, GIVEN["served"])
bpy.ops.extensions.repo_sync(repo_index=index)
bpy.ops.extensions.package_upgrade_all()
updated, enabled = version(), package in bpy.context.preferences.addons
late = refusal(bpy.ops.unrender.cancel)
settings = hasattr(bpy.types.Scene, "unrender")
kept_over_update = kept.exists()
bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="unrender")
answer(
    package=package,
    installed=installed,
    updated=updated,
    enabled=enabled,
    works=["No reconstruction is running" in said for said in (early, late)] + [settings],
    kept=[kept_over_update, kept.exists()],
    left=place.exists() or hasattr(bpy.types.Scene, "unrender"),
)
