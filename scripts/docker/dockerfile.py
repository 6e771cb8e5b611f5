"""A Dockerfile and its .dockerignore, read as far as this folder's need it. Standard library only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

KNOWN = (
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        word: its keyword in capitals, one of `KNOWN`.
        value: all that follows, on one line.
        line: where it begins.
    """

    word: str
    value: str
    line: int

    def words(self) -> list[str]:
        """The value as a list: the JSON form, or what blanks part."""
        if self.value.startswith("["):
            return [str(word) for word in json.loads(self.value)]
        return self.value.split()


def read_dockerfile(path: Path) -> list[Instruction]:
    """The instructions in their order; comments are left out. ValueError for an instruction that is not known here."""
    found: list[Instruction] = []
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue  # comments stand between the lines of an instruction, too
        begun = begun if parts else number
        parts.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        word, _, value = " ".join(parts).partition(" ")
        parts = []
        if word.upper() not in KNOWN or "<<" in value or value.lstrip().startswith("--mount"):
            raise ValueError(f"{path}:{begun}: {word} {value[:40]} is not read here; known are {', '.join(KNOWN)}")
        found.append(Instruction(word.upper(), value.strip(), begun))
    return found


def pairs(value: str) -> list[tuple[str, str]]:
    """ENV's assignments, NAME=VALUE each."""
    return [(name, quoted or plain) for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S*))', value)]


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """$NAME and ${NAME} replaced; what is not set becomes nothing."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: variables.get(match[1] or match[2], ""), text)


def context(root: Path, ignore: Path) -> list[str]:
    """The files that are sent to the builder, as paths from `root`: those that no line of the ignore file holds back.

    The last line that fits a file, or a folder above it, decides; one that begins with `!` lets it through.
    """
    lines = [line.strip() for line in ignore.read_text(encoding="utf-8").splitlines()]
    rules = [(_pattern(line.lstrip("!")), line.startswith("!")) for line in lines if line and not line.startswith("#")]
    wanted = [_pattern(line[1:].split("/")[0]) for line in lines if line.startswith("!")]
    names = []
    for file in sorted(_files(root, wanted if "*" in lines else [_pattern("*")])):
        name = file.relative_to(root).as_posix()
        places = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
        sent = True
        for pattern, lets_through in rules:
            if any(pattern.fullmatch(place) for place in places):
                sent = lets_through
        if sent:
            names.append(name)
    return names


def _files(root: Path, wanted: list[re.Pattern[str]]) -> Iterator[Path]:
    """All files, but of the folders right in `root` only those whose name one of `wanted` fits: others can be large."""
    for entry in root.iterdir():
        if entry.is_dir() and any(pattern.fullmatch(entry.name) for pattern in wanted):
            yield from (file for file in entry.rglob("*") if file.is_file())
        elif entry.is_file():
            yield entry


def named(files: list[str], source: str) -> list[str]:
    """The files that a source of COPY means: itself, what lies below it, or what its wildcards fit."""
    pattern = _pattern(source)
    return [name for name in files if pattern.fullmatch(name) or name.startswith(f"{source}/")]


def _pattern(line: str) -> re.Pattern[str]:
    """`*` and `?` stop at slashes, `**/` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", line.strip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))
