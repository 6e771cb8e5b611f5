"""What the build refuses that Blender's validator lets pass, and that it gives the same bytes twice."""

import importlib.util
import shutil
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("build_extension", ROOT / "scripts/build_extension.py")
build_extension = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build_extension)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for folder in ("addon", "backend"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").write_text("")
    (root / "requirements").mkdir()
    for name in build_extension.SINGLE_FILES:
        shutil.copy(ROOT / name, root / name)
    return root


def test_the_same_tree_gives_the_same_bytes_and_nothing_else_is_shipped(tree, tmp_path):
    first = build_extension.build(tree, tmp_path / "one").read_bytes()
    (tree / "addon" / "__pycache__").mkdir()
    (tree / "addon" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"junk")
    (tree / "tests").mkdir()
    (tree / "addon" / "__init__.py").touch()  # a new date
    again = build_extension.build(tree, tmp_path / "two")
    assert again.read_bytes() == first
    names = zipfile.ZipFile(again).namelist()
    sources = ["LICENSE.txt", "__init__.py", "addon/__init__.py", "backend/__init__.py", "blender_manifest.toml"]
    assert names == [*sources, "requirements/backend.txt"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("SPDX:GPL-3.0-or-later", "SPDX:GPL-3.1-or-maybe", "license"),
        ('name = "Unrender"', 'name = "Unrender for Blender"', "name contains"),
        ('type = "add-on"', 'type = "add-on"\nblender_version = "4.2.0"', "unknown key 'blender_version'"),
        ('version = "0.1.0"', 'version = "0.1"', "version is '0.1'"),
        ("an HDRI", "an HDRI, which is what every artist has always wanted to have", "tagline"),
        ('network = "', 'internet = "', "unknown permission 'internet'"),
        ('id = "unrender"', "id = unrender", "line 3"),
    ],
)
def test_a_faulty_manifest_is_refused(tree, tmp_path, old, new, complaint):
    manifest = tree / "blender_manifest.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(build_extension.BuildError, match=complaint):
        build_extension.build(tree, tmp_path / "out")
    assert not list(tmp_path.glob("out/*.zip"))


def test_bl_info_links_and_strange_files_are_refused(tree, tmp_path):
    intruder = tree / "addon" / "old.py"
    intruder.write_text('bl_info = {"name": "x"}\n')
    with pytest.raises(build_extension.BuildError, match="bl_info"):
        build_extension.build(tree, tmp_path)
    intruder.unlink()
    intruder.symlink_to(tree / "LICENSE.txt")
    with pytest.raises(build_extension.BuildError, match="symbolic link"):
        build_extension.build(tree, tmp_path)
    intruder.unlink()
    (tree / "backend" / "weights.pt").write_bytes(b"0")
    with pytest.raises(build_extension.BuildError, match=r"weights\.pt"):
        build_extension.build(tree, tmp_path)
