"""Fetches one file from the first mirror that has it: what was begun is continued, and what came is compared with what should have come.

A checksum that a mirror's host states decides. Where nobody states one, the file's own is written down at the first fetch, after every
part of the archive was read once, and later fetches are held to it (trust on first use). Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets_checksums import Checksums, hold, sha256_of
from datasets_disk import room_for, writing
from datasets_list import Archive, Mirror
from datasets_progress import Meter, megabytes, say

from backend.contract import EnvironmentFault, RequestError, write_json

TIMEOUT = 30.0  # seconds without a byte
TRIES = 4  # in a row that bring nothing
MOST_TRIES = 50
_CHUNK = 1 << 18
_GONE = (401, 403, 404, 410, 451)


class _MirrorError(Exception):
    """The mirror cannot serve the file; the text says why."""


class _BeginAnewError(Exception):
    """What is on disk is no beginning of what the mirror has now."""


def fetch(archive: Archive, folder: Path, checksums: Checksums, first: Sequence[str] = (), wait: float = 1.0) -> Path:
    """The archive in `folder`: the one already there if its checksum is right, else fetched.

    Args:
        archive: what, and where it is.
        folder: where it is kept, beside what an earlier call left of it.
        checksums: what is known of earlier downloads.
        first: addresses that are tried before the archive's own.
        wait: seconds before the first retry; each further one waits twice as long.

    Raises:
        EnvironmentFault: no mirror has it (with each one's reason), or the disk is too small.
    """
    kept = folder / archive.name
    if kept.is_file() and _still_whole(archive, kept, checksums):
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for mirror in (*(Mirror(url) for url in first), *archive.mirrors):
        say(f"{archive.name}: from {mirror.url}")
        part = folder / f"{archive.name}.{hashlib.sha256(mirror.url.encode()).hexdigest()[:8]}.part"
        try:
            _download(mirror.url, part, wait)
            _compare(archive, mirror, part, checksums)
        except _MirrorError as fault:
            say(f"  {fault}")
            reasons.append(f"{mirror.url}: {fault}")
            continue
        part.replace(kept)
        _note_of(part).unlink(missing_ok=True)
        return kept
    raise EnvironmentFault(
        f"{archive.name} could not be fetched from any mirror:\n  " + "\n  ".join(reasons),
        hint=f"try again later (what has come is kept), or fetch it with a browser from {archive.page} and give it with --archive",
        code="mirrors-failed",
    )


def _still_whole(archive: Archive, kept: Path, checksums: Checksums) -> bool:
    """The archive on disk is what was fetched, or what somebody put there; one that was changed since is deleted."""
    known = checksums.named(archive.name)
    if not known:
        say(f"{kept} was put there by hand")
        hold(archive, f"by hand: {archive.name}", kept, checksums)
        return True
    if sha256_of(kept) in known:
        say(f"{kept} is there already")
        return True
    say(f"{kept} is not what was fetched; it is fetched again")
    kept.unlink()
    return False


def _download(url: str, part: Path, wait: float) -> None:
    """All bytes of `url` into `part`, continued after interruptions as long as any come. Raises _MirrorError."""
    idle = 0
    for _ in range(MOST_TRIES):
        before = _length(part)
        pause = wait * 2**idle
        try:
            _continue(url, part)
            return
        except _BeginAnewError as reason:
            said, idle, pause = str(reason), idle + 1, 0.0
            say(f"  {said}; begun anew")
            _forget(part)
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise _MirrorError(f"HTTP status {error.code} ({error.reason})") from None
            pause = max(pause, min(_seconds(error.headers.get("Retry-After")), 60.0))
            said, idle = f"HTTP status {error.code} ({error.reason})", idle + 1
        except ValueError as error:  # not even an address
            raise _MirrorError(str(error)) from None
        except (OSError, http.client.HTTPException) as error:
            idle = 0 if _length(part) > before else idle + 1
            said = str(getattr(error, "reason", "") or error) or type(error).__name__
        if idle >= TRIES:
            raise _MirrorError(f"{said}, {idle} times in a row") from None
        if pause:
            say(f"  {said}; tried again in {pause:.0f} s, from {megabytes(_length(part))} on")
            time.sleep(pause)
    raise _MirrorError(f"it broke off {MOST_TRIES} times")


def _continue(url: str, part: Path) -> None:
    """One request, for what is missing if the mirror still has the same file."""
    note, have = _read_note(part), _length(part)
    headers = {"User-Agent": "unrender-datasets", "Accept-Encoding": "identity"}
    if have and note.get("validator"):
        headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
    else:
        have = 0
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if have == note.get("total"):
            return
        raise _BeginAnewError("the file there is shorter now") from None
    with answer:
        total = _begin(answer, part, note, have)
        if answer.status != 206:
            have = 0
        room_for((total or 0) - have, part.parent, part.name)
        meter = Meter("  ", have, total)
        try:
            with writing(part, "ab" if have else "wb") as write:
                while chunk := answer.read(_CHUNK):
                    write(chunk)
                    meter.add(len(chunk))
        finally:
            meter.end()
    if total is not None and _length(part) != total:
        raise ConnectionError(f"it broke off at {megabytes(_length(part))} of {megabytes(total)}")


def _begin(answer: http.client.HTTPResponse, part: Path, note: dict[str, Any], have: int) -> int | None:
    """The whole length of what the answer brings, None where it is not told; its marks are written down for the next request."""
    if answer.headers.get_content_type() == "text/html":
        raise _MirrorError("it answered with a web page instead of the file")
    etag, changed = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    if answer.status == 206:
        stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        other = etag and note.get("etag") and etag != note["etag"]
        if not stated or other or int(stated[1]) != have or stated[2] not in ("*", str(note.get("total"))):
            raise _BeginAnewError("the file there is another one now")
        return note.get("total")
    if have:
        say("  the mirror sends the whole file, or the file there is another one now; begun anew")
    length = answer.headers.get("Content-Length")
    total = int(length) if length is not None and length.isdigit() else None
    # a weak ETag may stand for other bytes (RFC 9110, 13.1.5)
    validator = etag if etag and not etag.startswith("W/") else changed
    part.unlink(missing_ok=True)  # before the marks: a beginning must never lie beside those of another version
    write_json(_note_of(part), {"etag": etag, "validator": validator, "total": total})
    return total


def _compare(archive: Archive, mirror: Mirror, part: Path, checksums: Checksums) -> None:
    """Raise _MirrorError, with `part` deleted, where it is not what the mirror should have given."""
    size = megabytes(_length(part))
    try:
        if mirror.sha256 and sha256_of(part) != mirror.sha256:
            raise _MirrorError(f"wrong content: {size} with SHA-256 {sha256_of(part)}, stated is {mirror.sha256}")
        hold(archive, mirror.url, part, checksums)
    except (_MirrorError, RequestError) as fault:
        _forget(part)
        raise _MirrorError(f"{fault}. {fault.hint}" if isinstance(fault, RequestError) else str(fault)) from None


def _note_of(part: Path) -> Path:
    return part.with_suffix(".json")


def _read_note(part: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        note = json.loads(_note_of(part).read_text(encoding="utf-8"))
        return note if isinstance(note, dict) else {}
    return {}


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _seconds(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0
