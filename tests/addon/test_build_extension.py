"""What the build refuses that Blender's validator lets pass, and that it gives the same bytes twice."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import build_extension

ROOT = build_extension.ROOT


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for folder in ("addon", "backend"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").write_text("")
    (root / "addon" / "__init__.py").write_text("import bpy\n\nONLINE = bpy.app.online_access\n")
    (root / "requirements").mkdir()
    for name in (*build_extension.SINGLE_FILES, "CHANGELOG.md"):
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


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("addon/Operators.py", "", "operators.py are one file|Operators.py and"),
        ("addon/deep.py", "def f():\n    from torch import nn\n", "deep.py line 2 imports torch"),
        ("addon/deep.py", "from addon.operators import x\n", "imports addon.operators"),
        ("addon/deep.py", "import sys\nsys.path.append('x')\n", "line 2 uses sys.path"),
        ("addon/deep.py", "class UNRENDER_OT_go: pass\n", "UNRENDER_OT_go no description"),
        ("addon/deep.py", "class UNRENDER_OT_go:\n    'Go on.'\n", "full stop"),
        ("addon/deep.py", "def f(:\n", "line 1 is no Python"),
        ("addon/__init__.py", "", "never looks at bpy.app.online_access"),
        ("LICENSE.txt", "Do what you like", "LICENSE.txt is not the text"),
        ("CHANGELOG.md", "# Changelog\n\n## 0.0.9\n", "newest entry of CHANGELOG.md is 0.0.9"),
        ("backend/table.json", "0" * 8_000_001, "8.0 MB unpacked"),
        (f"backend/{'long' * 30}.py", "", "longer than 120"),
    ],
)
def test_what_blender_would_let_pass_is_refused(tree, tmp_path, name, text, complaint):
    (tree / "addon" / "operators.py").touch()
    (tree / name).write_text(text)
    with pytest.raises(build_extension.BuildError, match=complaint):
        build_extension.build(tree, tmp_path / "out")


def test_one_version_everywhere():
    from backend import contract

    assert build_extension.read_manifest((ROOT / "blender_manifest.toml").read_text())["version"] == contract.version()
