"""The live page over HTTP, for this machine alone."""

from __future__ import annotations

import re
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backend.contract import EnvironmentFault
from backend.live.page import DATA, PAGE

LOOPBACK = "127.0.0.1"
_PICTURE = re.compile(r"[A-Za-z0-9_-]+\.png")
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png"}
_WATCHED = 3.0  # seconds after a request within which somebody still looks


class Server:
    """Serves a preview folder's page, its data and its pictures, and nothing else, on the loopback address until `close`.

    Requests whose Host is another name than this machine's are refused, so that no web page elsewhere can read along by a name that it
    lets point here.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        """Begin to serve `folder`; port 0 takes a free one.

        Raises:
            EnvironmentFault: `port-taken`, the port cannot be had.
        """
        self.asked = 0.0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._answer(self, folder, body=True)

            def do_HEAD(self) -> None:
                owner._answer(self, folder, body=False)

            def log_message(self, *_: Any) -> None:
                pass  # the log is the run's

        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        except OSError as error:
            raise EnvironmentFault(
                f"port {port} of {LOOPBACK} cannot be had: {error.strerror or error}",
                hint="Name another port, or 0 for any that is free.",
                code="port-taken",
            ) from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="live", daemon=True).start()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.port}/"

    def close(self) -> None:
        """Stop; where somebody looks at the page, once it has asked for the last time."""
        last = self.asked
        if time.monotonic() - last < _WATCHED:
            until = time.monotonic() + 2.0
            while self.asked == last and time.monotonic() < until:
                time.sleep(0.05)
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, folder: Path, body: bool) -> None:
        name = urlsplit(request.path).path.lstrip("/") or PAGE
        if request.headers.get("Host", "") not in (f"{LOOPBACK}:{self.port}", f"localhost:{self.port}"):
            request.send_error(HTTPStatus.FORBIDDEN, "This page is for this machine alone")
            return
        if name not in (PAGE, DATA) and not _PICTURE.fullmatch(name):
            request.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            data = (folder / name).read_bytes()
        except OSError:
            request.send_error(HTTPStatus.NOT_FOUND)
            return
        request.send_response(HTTPStatus.OK)
        request.send_header("Content-Type", _TYPES[Path(name).suffix])
        request.send_header("Content-Length", str(len(data)))
        request.send_header("Cache-Control", "no-store")
        request.send_header("X-Content-Type-Options", "nosniff")
        request.end_headers()
        if body:
            if name == DATA:
                self.asked = time.monotonic()
            request.wfile.write(data)
