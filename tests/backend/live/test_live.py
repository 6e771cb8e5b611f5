"""The live page in headless Chromium, served and as a file; who may ask the server for what; where a window opens."""

import http.client
import json
import shutil
import subprocess
import time
from itertools import pairwise

import imageio.v3 as iio
import numpy as np
import pytest

from backend.contract import EnvironmentFault, Failed, Finished, Preview, Progress, Started, Warned, Watching
from backend.live.page import LivePage
from backend.live.server import Server
from backend.live.show import has_screen, shown

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
STARTED = Started(
    folder="job", pid=1, version="1", device="cpu", engine="builtin", preset="draft", stages=("shape",), resumed=False
)


def step(number, psnr=20.0):
    return Progress(stage="shape", step=number, steps=100, eta=75.0, losses={"color": 0.5 / number}, psnr=psnr)


def pictures(folder, name="shape-000040", width=96):
    for ending, columns in (("", 3), ("-maps", 4), ("-light", 2)):
        iio.imwrite(folder / f"{name}{ending}.png", np.full((width, columns * width, 3), 120, np.uint8))
    return Preview(path=f"preview/{name}.png", stage="shape", step=40)


def run_of(folder, page):
    page.hear(STARTED)
    for number in range(10, 50, 10):
        page.hear(step(number, 20.0 + number / 10))
    page.hear(Warned(message="2 photographs <hurt>"))
    page.hear(pictures(folder))


def seen(address):
    """What a person sees of a page after two seconds: its elements when its scripts have run."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2500", "--dump-dom", address],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout


@BROWSER
@pytest.mark.parametrize("served", [True, False])
def test_a_browser_shows_the_run_served_or_from_the_disk(tmp_path, served):
    folder = tmp_path / "öut put"
    folder.mkdir()
    page = LivePage(folder, "cup & saucer", seconds=iter(range(1000)).__next__)
    run_of(folder, page)
    server = Server(folder) if served else None
    text = seen(server.url if server else page.path.as_uri())
    if server:
        server.close()
    assert "cup &amp; saucer" in text
    assert "Shape, step 40 of 100, PSNR 24.0 dB, 1:15 left" in text
    assert "2 photographs &lt;hurt&gt;" in text
    assert "width: 40%" in text
    for name in ("shape-000040.png", "shape-000040-maps.png", "shape-000040-light.png"):
        assert f'src="{name}"' in text
    assert text.count('<polyline points="0.00') == 2 and "Shape: PSNR, dB: 24.0 (21.0 to 24.0)" in text


def ask(server, path, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_server_gives_the_page_and_its_pictures_to_this_machine_and_nothing_else(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "preview"
    folder.mkdir()
    (folder / "mesh.npz").write_bytes(b"secret")
    page = LivePage(folder, "cup")
    pictures(folder)
    server = Server(folder)
    assert ask(server, "/")[1] == page.path.read_bytes()
    assert ask(server, "/live.js?3")[1].startswith(b"show({")
    assert ask(server, "/shape-000040.png")[1].startswith(b"\x89PNG")
    assert ask(server, "/", method="HEAD") == (200, b"")
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/mesh.npz", "/.live.js.part", "/preview/", "/x.png"):
        assert ask(server, path)[0] == 404, path
    assert ask(server, "/live.js", host=f"evil.example:{server.port}")[0] == 403
    assert ask(server, "/", method="POST")[0] == 501
    with pytest.raises(EnvironmentFault, match=f"port {server.port} of 127.0.0.1"):
        Server(folder, server.port)
    server.close()


def test_the_page_says_how_a_run_ended_and_never_stops_it(tmp_path):
    def told():
        text = (tmp_path / "live.js").read_text()
        return json.loads(text.removeprefix("show(").removesuffix(");\n"))

    now = [0.0]
    page = LivePage(tmp_path, "cup", seconds=lambda: now[0])
    for number in range(1, 2000):
        now[0] += 0.01
        page.hear(step(number))
    points = told()["curves"][0]["points"]
    apart = {second[0] - first[0] for first, second in pairwise(points[:-1])}
    assert 100 < len(points) <= 400 and points[0][0] == 1 and len(apart) == 1
    now[0] += 1.0
    page.hear(step(500))  # an earlier state was taken up again
    points = told()["curves"][0]["points"]
    assert points[-1][0] == 500 and [point[0] for point in points] == sorted(point[0] for point in points)
    page.hear(Failed(code="diverged", message="lost"))
    assert told()["now"] == "Stopped: lost" and told()["over"]
    page.hear(Finished(result="out/result", seconds=61.0))
    assert told()["now"] == "Done after 1:01: out/result" and told()["part"] == 1.0
    shutil.rmtree(tmp_path)
    page.hear(step(5))
    page.hear(Warned(message="nobody reads this"))


@pytest.mark.parametrize(("display", "port"), [(True, None), (False, 0), (True, 0), (False, None)])
@pytest.mark.parametrize("screen", [True, False])
def test_a_window_opens_where_there_is_a_screen_and_else_the_page_is_written(
    tmp_path, monkeypatch, display, port, screen
):
    monkeypatch.setattr("backend.live.show.has_screen", lambda *_: screen)
    opened, told = [], []
    browse = lambda url: opened.append(url) or True  # noqa: E731
    with shown(tmp_path, "cup", display, port, told.append, browse) as hear:
        hear(step(1))
    wanted = display or port is not None
    assert (tmp_path / "index.html").exists() == wanted == bool(told)
    assert len(opened) == (display and screen)
    if wanted:
        (watching,) = told
        assert isinstance(watching, Watching) and watching.window == bool(opened)
        assert watching.url.startswith("http://127.0.0.1:") == (port is not None or bool(opened))


def test_a_server_that_somebody_looks_at_waits_for_the_last_question(tmp_path):
    LivePage(tmp_path, "cup")
    server = Server(tmp_path)
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 1.5
    server = Server(tmp_path)
    ask(server, "/live.js")
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began > 1.5


def test_where_a_screen_is():
    assert has_screen({"DISPLAY": ":0"}, "linux") and has_screen({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert not has_screen({}, "linux") and not has_screen({"DISPLAY": ""}, "linux")
    assert has_screen({}, "win32") and has_screen({}, "darwin")
    assert not has_screen({"SSH_CONNECTION": "10.0.0.1"}, "darwin")
