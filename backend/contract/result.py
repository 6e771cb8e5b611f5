"""The finished asset: what its folder holds, read and written whole."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from .errors import RequestError
from .job import JobFolder
from .whole_file import finite, write_json

RESULT_FORMAT = 1
ALPHA_CUTOFF = 0.5  # opacity from which a clipped surface is there
# what the base colour's alpha is: none, there or not there, as much as it says
Alpha = Literal["opaque", "clip", "blend"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished asset.

    Attributes:
        files: what each file is -> its path relative to the result folder, with '/': 'mesh' -> 'mesh.glb'.
        metrics: named figures (PSNR in dB, counts, seconds); None where one could not be measured.
        request: the request, as `to_dict` gives it.
        version, device, engine: what made it.
        seconds: time the run took, resumed parts included.
        warnings: sentences for the artist.
        alpha: what the base colour's alpha means.
        folder: where it lies; not written, set by `read_result` and `write_result`.
    """

    files: dict[str, str]
    metrics: dict[str, float | None] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    device: str = ""
    engine: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    alpha: Alpha = "opaque"
    folder: Path | None = field(default=None, compare=False)

    def path(self, name: str) -> Path:
        """Where the file called `name` lies; RequestError when the result has none."""
        if name not in self.files:
            raise RequestError(
                f"{self.folder}: the result has no {name!r}; it has {', '.join(self.files)}", code="result-incomplete"
            )
        return (self.folder or Path()) / self.files[name]


def read_result(folder: Path | str) -> Result:
    """The result in `folder` (a result folder, or the job folder around it): complete, or RequestError says what is missing."""
    folder = Path(folder)
    nested = JobFolder(folder).result
    if not (folder / "result.json").is_file() and (nested / "result.json").is_file():
        folder = nested
    try:
        data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(
            f"{folder} has no result.json; expected the result folder of a finished run",
            hint="Let the run finish first; an unfinished one goes on with --resume.",
            code="result-missing",
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{folder / 'result.json'} cannot be read: {error}", code="result-unreadable") from error
    if not isinstance(data, dict) or data.get("format") != RESULT_FORMAT:
        came = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise RequestError(
            f"{folder / 'result.json'} has format {came!r}; expected {RESULT_FORMAT}",
            hint="The result was made by another version of Unrender.",
            code="result-unreadable",
        )
    names = {item.name for item in dataclasses.fields(Result)} - {"folder"}
    values: dict[str, Any] = {
        key: tuple(value) if key == "warnings" else value for key, value in data.items() if key in names
    }
    if not isinstance(values.get("files"), dict):
        raise RequestError(f"{folder / 'result.json'} lists no files", code="result-unreadable")
    result = Result(**values, folder=folder)
    missing = _missing_files(folder, result)
    if missing:
        raise RequestError(
            f"{folder} has no {', '.join(missing)}, which its result.json lists", code="result-incomplete"
        )
    return result


def write_result(folder: Path | str, result: Result) -> Result:
    """Write `folder`/result.json, in one piece, when all files it lists are there (ValueError otherwise)."""
    folder = Path(folder)
    missing = _missing_files(folder, result)
    if missing:
        raise ValueError(f"{folder} has no {', '.join(missing)}, which the result lists")
    data = dataclasses.asdict(dataclasses.replace(result, folder=None))
    del data["folder"]
    write_json(folder / "result.json", {"format": RESULT_FORMAT, **finite(data)})
    return dataclasses.replace(result, folder=folder)


def _missing_files(folder: Path, result: Result) -> list[str]:
    """The files a result lists that are not inside its folder."""
    missing = []
    for name in result.files.values():
        inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
        if not inside or not (folder / name).is_file():
            missing.append(name)
    return missing
