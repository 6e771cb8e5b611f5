"""Archives and folders that hold a data set, read without trust: no entry leads out of them, nothing is unpacked to disk.

Standard library only.
"""

from __future__ import annotations

import contextlib
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from backend.contract import RequestError

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
_JUNK = re.compile(r"(^|/)(__MACOSX|\.git)(/|$)|(^|/)(\.DS_Store|Thumbs\.db|\._[^/]*)$")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Container:
    """The files of an archive or a folder.

    Attributes:
        path: what it was opened from.
        sizes: name (with forward slashes) -> bytes. Neither links nor what systems leave behind (`__MACOSX`, `.DS_Store`) are among them.
        open: name -> its content as a stream; closed by the caller.
        origin: what the archive says of itself; GitHub's hold the commit there.
    """

    path: Path
    sizes: Mapping[str, int]
    open: Callable[[str], IO[bytes]]
    origin: str = ""

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises RequestError where the archive is damaged."""
        with self.refusing_damage(name), self.open(name) as stream:
            return stream.read()

    @contextlib.contextmanager
    def refusing_damage(self, name: str) -> Iterator[None]:
        """What a damaged archive raises becomes a RequestError that names the entry."""
        try:
            yield
        except DAMAGE as error:
            raise RequestError(
                f"{self.path}: its file {name} is damaged ({error})",
                hint="delete the archive and fetch it again",
                code="archive-damaged",
            ) from None

    def check(self) -> None:
        """Read every file once: the checksums inside a zip or a gzip tell whether it came whole. Raises RequestError."""
        for name in self.sizes:
            with self.refusing_damage(name), self.open(name) as stream:
                while stream.read(_CHUNK):
                    pass

    def below(self, folder: str) -> list[str]:
        """The names under a folder ('' is the top), sorted."""
        prefix = f"{folder}/" if folder else ""
        return sorted(name for name in self.sizes if name.startswith(prefix))


@contextlib.contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """A zip, a tar (of any compression) or a folder.

    Raises RequestError: no such file, neither of these, encrypted, or an entry whose name leads out of the folder it would be put into.
    """
    if path.is_dir():
        yield _folder(path)
        return
    if not path.is_file():
        raise RequestError(f"{path}: no such archive or folder", hint="check the path", code="archive-missing")
    with contextlib.ExitStack() as stack:
        try:
            if zipfile.is_zipfile(path):
                container = _zip(path, stack.enter_context(zipfile.ZipFile(path)))
            elif tarfile.is_tarfile(path):
                container = _tar(path, stack.enter_context(tarfile.open(path)))
            else:
                raise zipfile.BadZipFile("neither a zip nor a tar")
        except DAMAGE as error:
            raise RequestError(
                f"{path}: no whole archive ({error}); it has {path.stat().st_size} bytes",
                hint="fetch it again; a download that was broken off, or a web page saved under this name, looks like this",
                code="archive-unreadable",
            ) from None
        yield container


def _zip(path: Path, archive: zipfile.ZipFile) -> Container:
    sizes = {}
    for entry in archive.infolist():
        name = _safe(path, entry.filename)
        if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16) or _JUNK.search(name):
            continue
        if entry.flag_bits & 1:
            raise RequestError(f"{path}: {name} is encrypted", hint="unpack it by hand", code="archive-encrypted")
        sizes[name] = entry.file_size
    raw = {_safe(path, entry.filename): entry for entry in archive.infolist()}
    comment = archive.comment.decode("ascii", "replace")
    return Container(path, sizes, lambda name: archive.open(raw[name]), comment)


def _tar(path: Path, archive: tarfile.TarFile) -> Container:
    entries = {}
    for entry in archive.getmembers():
        name = _safe(path, entry.name)
        if entry.isreg() and not _JUNK.search(name):
            entries[name] = entry

    def stream(name: str) -> IO[bytes]:
        content = archive.extractfile(entries[name])
        assert content is not None  # regular files have content
        return content

    commit = archive.pax_headers.get("comment", "")
    return Container(path, {name: entry.size for name, entry in entries.items()}, stream, commit)


def _folder(path: Path) -> Container:
    files = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_file() and not _JUNK.search(name):
            files[name] = file.stat().st_size
    return Container(path, files, lambda name: (path / name).open("rb"))


def _safe(path: Path, name: str) -> str:
    """An entry's name with forward slashes, or RequestError where it is absolute, has a drive or climbs out."""
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    if plain.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", plain) or "\0" in plain:
        raise RequestError(
            f"{path}: its entry {name!r} would be written outside the folder it is unpacked into",
            hint="this archive was made to do harm, or by a broken tool: get it elsewhere",
            code="archive-unsafe",
        )
    return "/".join(parts)
