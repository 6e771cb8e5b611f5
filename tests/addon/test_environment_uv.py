"""uv fetched from a server on this machine: after consent alone, verified, and whole or not at all. No Blender needed."""

import hashlib
import io
import os
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in for uv is a script with a #! line")
BACKEND = """
import json, sys
checks = [{"name": "torch", "state": "ok", "value": "1"}]
print(json.dumps({"event": "doctor", "ok": True, "checks": checks}))
"""
UV = f"""#!{sys.executable}
import os, sys, venv
if sys.argv[1] == "venv":
    venv.create(sys.argv[-1], symlinks=True)
"""


class Server(BaseHTTPRequestHandler):
    """Answers as the test's `server` says, and counts."""

    def do_GET(self):
        server = self.server
        server.asked += 1
        if server.manner == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        body = server.body
        if server.manner == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(body) + body[:100])  # and no more of it
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.manner == "silent":
            self.wfile.write(body[:100])
            server.release.wait(20)
        elif server.manner == "changed":
            self.wfile.write(b"x" + body[1:])
        elif server.manner == "longer":
            self.wfile.write(body * 3)
        else:
            self.wfile.write(body[: 100 if server.manner == "short" else None])

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.manner, server.asked, server.release = "whole", 0, threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def part(addon_module):
    return lambda name: addon_module(f"installer.{name}")


@pytest.fixture
def making(tmp_path, monkeypatch, addon_module, part, server):
    """Begin a making; uv is what the server has, in a wheel as PyPI's are, and no other is found."""
    uv, machine = part("uv"), part("machine").this_machine()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr("uv/__init__.py", "")
        wheel.writestr(f"uv-{uv.VERSION}.data/scripts/uvx", "another program")
        wheel.writestr(f"uv-{uv.VERSION}.data/scripts/uv", UV)
        wheel.writestr(f"uv-{uv.VERSION}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    server.body = packed.getvalue()
    address = f"http://127.0.0.1:{server.server_port}/uv.whl"
    wheel = uv.Wheel(address, hashlib.sha256(server.body).hexdigest(), len(server.body))
    monkeypatch.setattr(uv, "WHEELS", {(machine.system, machine.architecture): wheel})
    monkeypatch.setattr(uv, "find", lambda tools: next(tools.glob("uv"), None))
    monkeypatch.setattr(part("pythons"), "candidates", list)  # without uv there is nothing to build on
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    (tmp_path / "root/backend").mkdir(parents=True)
    (tmp_path / "root/backend/__main__.py").write_text(BACKEND)
    (tmp_path / "lock.txt").write_text("tinything==1.0\n")
    place = addon_module("environment").place(tmp_path / "home", tmp_path / "lock.txt")

    def make(**wishes):
        wish = part("plan").Wish(**{"online": True, "fetch_uv": True, **wishes})
        return part("making").Making(wish, place, tmp_path / "lock.txt", tmp_path / "root")

    make.place = place
    return make


def test_after_consent_uv_is_fetched_and_makes_the_environment(making, server, part):
    made = making()
    assert made.wait(60) and made.state == "finished", made.failure
    program = making.place.tools / "uv"
    assert program.read_text() == UV and os.access(program, os.X_OK) and list(making.place.tools.iterdir()) == [program]
    assert making.place.facts()["tool"] == str(program) and making.place.facts()["bytes"] > 0
    assert "/uv.whl" in making.place.log.read_text()
    again = making()
    assert again.wait(60) and again.state == "finished" and server.asked == 1  # it is kept
    removing = part("checking").Removing(making.place)
    assert removing.wait(10) and removing.state == "finished" and not making.place.home.exists()


def test_without_consent_or_online_access_or_with_wheels_nothing_is_asked_for(making, server, tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/tinything-1.0-py3-none-any.whl").touch()
    for wishes, said in (
        ({"fetch_uv": False}, "neither uv nor a Python"),
        ({"online": False}, "may not go online"),
        ({"online": False, "wheels": tmp_path / "wheels"}, "neither uv nor a Python"),
        ({"wheels": tmp_path / "wheels"}, "neither uv nor a Python"),  # which promise that nothing is downloaded
    ):
        made = making(**wishes)
        assert made.wait(20) and said in str(made.failure), wishes
    assert server.asked == 0


@pytest.mark.parametrize(
    ("manner", "code", "said"),
    [
        ("short", "network", "broke off after 100 of"),
        ("chunks", "network", "could not be fetched"),
        ("missing", "network", "Not Found"),
        ("changed", "checksum", "It was thrown away"),
        ("longer", "checksum", "It was thrown away"),
        ("gone", "network", "refused"),
    ],
)
def test_a_download_that_fails_is_told_in_words_and_leaves_nothing(making, server, manner, code, said, monkeypatch):
    server.manner = manner
    if manner == "longer":  # more than it says, so no length at all
        monkeypatch.setattr(Server, "send_header", lambda *_: None)
    if manner == "gone":
        server.socket.close()
        server.shutdown()
    made = making()
    assert made.wait(20) and made.state == "failed"
    assert made.failure.code == code and said in str(made.failure) and made.failure.hint
    assert said in making.place.log.read_text()
    left = {path.name for path in making.place.home.rglob("*")}
    assert left == {making.place.log.name, f"{making.place.key}.lock"}
    if manner == "short":  # and the next try succeeds
        server.manner = "whole"
        made = making()
        assert made.wait(60) and made.state == "finished", made.failure


def test_a_silent_server_does_not_keep_a_cancel_waiting(making, server):
    server.manner = "silent"
    made = making()
    until = time.monotonic() + 10
    while "Fetching uv" not in made.says and time.monotonic() < until:
        time.sleep(0.01)
    began = time.monotonic()
    made.cancel()
    assert made.wait(5) and time.monotonic() - began < 1.0
    assert made.state == "cancelled" and not making.place.tools.exists()


def test_a_disk_that_fills_up_leaves_no_half_program(tmp_path, part, making, server, monkeypatch):
    uv = part("uv")

    def full(path, _data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uv.Path, "write_bytes", full)
    made = making()
    assert made.wait(20) and made.failure.code == "disk-full" and not list(making.place.tools.iterdir())


def test_the_shared_folder_is_the_same_for_all_versions_of_blender(addon_module, tmp_path, monkeypatch):
    environment = addon_module("environment")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert environment.shared_home() == tmp_path / "unrender/environments"
    (tmp_path / "lock.txt").write_text("tinything==1.0\n# of Blender 4.2\n")
    first = environment.place(environment.shared_home(), tmp_path / "lock.txt")
    (tmp_path / "lock.txt").write_text("# of Blender 5.2\ntinything==1.0\n")
    assert environment.place(environment.shared_home(), tmp_path / "lock.txt") == first
