"""The static repository, served on this machine to a Blender that installs from it and is then told of an update."""

import functools
import http.server
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import build_extension
import make_repository


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """(folder, address) of a web server on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/index.json"
    server.shutdown()
    server.server_close()


def older(archive, folder):
    """The same extension as version 0.0.9."""
    tree = folder / "tree"
    shutil.unpack_archive(archive, tree)
    (tree / "__init__.py").unlink()
    manifest = tree / "blender_manifest.toml"
    version = build_extension.read_manifest(manifest.read_text())["version"]
    manifest.write_text(manifest.read_text().replace(f'version = "{version}"', 'version = "0.0.9"'))
    (tree / "CHANGELOG.md").write_text("## 0.0.9\n")
    return build_extension.build(tree, folder / "older"), version


def test_a_repository_is_added_installed_from_and_followed(blender, archive, served, tmp_path):
    folder, address = served
    program = Path(os.environ["UNRENDER_BLENDER_PYTHON"])
    old, version = older(archive, tmp_path)
    make_repository.make(folder, program, old)
    newer = tmp_path / "newer"
    make_repository.make(newer, program, old)
    index = make_repository.make(newer, program, archive)  # what a second release does to the folder
    assert [entry["version"] for entry in json.loads(index.read_text())["data"]] == [version]
    assert (newer / "older" / old.name).is_file() and "unrender" in (newer / "index.html").read_text()
    shutil.rmtree(newer / "older")
    found = blender("repository.py", url=address, served=str(folder), newer=str(newer))
    assert found["package"] != "bl_ext.user_default.unrender"  # another repository's name, so none is written anywhere
    assert (found["installed"], found["updated"]) == ("0.0.9", version)
    assert found["enabled"] and all(found["works"])
    assert found["kept"] == [True, False] and not found["left"]  # the environment outlives an update, not an uninstall
