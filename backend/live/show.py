"""A run's page where its user can see it: in a browser window, over HTTP, or as a file."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backend.contract import Event, Watching
from backend.live.page import LivePage
from backend.live.server import Server


@contextmanager
def shown(
    folder: Path,
    title: str,
    display: bool,
    port: int | None,
    tell: Callable[[Event], None],
    browse: Callable[[str], bool] = webbrowser.open,
) -> Iterator[Callable[[Event], None]]:
    """Show a run while it lasts; what is given takes the run's events.

    Args:
        folder: the job's preview folder.
        title: what is reconstructed.
        display: open a window, which is one of the system's browser; where there is no screen, the page is written all the same.
        port: serve the page on this port of the loopback address, 0 for a free one; None serves it only for a window.
        tell: hears where the page is.
        browse: opens an address, and says whether it could.

    Raises:
        EnvironmentFault: the port cannot be had.
    """
    if not display and port is None:
        yield lambda _: None
        return
    page = LivePage(folder, title)
    window = display and has_screen(os.environ, sys.platform)
    server = Server(folder, port or 0) if window or port is not None else None
    try:
        opened = window and server is not None and browse(server.url)
        tell(Watching(url="" if server is None else server.url, page=str(page.path), window=bool(opened)))
        yield page.hear
    finally:
        if server is not None:
            server.close()


def has_screen(variables: Mapping[str, str], platform: str) -> bool:
    """Whether a window can open: always on Windows and macOS, elsewhere where a display server is named and the user is not far away."""
    if platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in variables
    return bool(variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY"))
