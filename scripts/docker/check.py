"""Tries the Dockerfile without Docker: its own steps, in a clean root by debootstrap, then the image's command on a CPU.

    sudo python3 scripts/docker/check.py FOLDER [--debootstrap PROGRAM] [--build-arg NAME=VALUE] [--env NAME=VALUE] [--bind PLACE]

FOLDER receives the root (with torch 2 GB and more) and is kept; a second call begins again from the bare system in it. The steps are
read from the Dockerfile, so what is tried is what Docker would run: FROM by debootstrap (Debian alone), COPY through .dockerignore, RUN
by chroot as the user and with the variables that stand there. Afterwards `doctor` and the health check run as the image's user, a tiny
reconstruction as a user the image has never heard of, with data that is read only and a blank in its path. Linux and root are needed, and
a network; nothing stays mounted. --env and --bind (a folder of this machine, seen in the root at the same place) are for machines whose
network needs them. Exit status 0 when all of it worked, 2 when a step did not, 3 where it cannot be tried.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dockerfile import context, named, pairs, read_dockerfile, substituted

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
STRANGER = "4321:4321"  # a user id that no file of the image knows
SETTINGS = (
    "shape.steps=30", "shape.cells=16", "shape.start_cells=16", "shape.views_per_step=2", "refine.steps=20", "refine.views_per_step=2",
    "asset.triangles=1000", "asset.texture_size=128", "light.resolution=16", "views.resolution=48", "threads=1",
)  # fmt: skip
RESOLVER = Path("/etc/resolv.conf")  # of this machine, taken into the root as Docker does


class StepError(Exception):
    """A step ended with another status than 0."""


class Root:
    """A folder that stands for the image while it is built.

    Attributes:
        folder: its root.
        variables: ENV and, while building, ARG.
        user, work: USER and WORKDIR.
    """

    def __init__(self, folder: Path, extra: dict[str, str], binds: Sequence[str]) -> None:
        self.folder, self.extra, self.binds = folder, extra, binds
        self.variables: dict[str, str] = {}
        self.arguments: dict[str, str] = {}
        self.user, self.work = "0:0", "/"

    def run(self, command: Sequence[str], user: str = "", mounts: Sequence[tuple[Path, str, bool]] = ()) -> str:
        """Run a command inside, in a mount namespace of its own, and return what it said; mounts are (folder, place, read only)."""
        places = [("--bind /dev", "/dev"), ("-t proc proc", "/proc")]
        places += [(f"--bind {shlex.quote(place)}", place) for place in self.binds]
        places += [(f"--bind {shlex.quote(str(folder))}", place) for folder, place, _ in mounts]
        script = ["set -e"]
        for what, place in places:
            target = self.folder / place.lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            script.append(f"mount {what} {shlex.quote(str(target))}")
        for _, place, read_only in mounts:
            if read_only:
                script.append(f"mount -o remount,bind,ro {shlex.quote(str(self.folder / place.lstrip('/')))}")
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        home = "/root" if self.user == "0:0" else "/"
        variables = {"PATH": path, "HOME": home, **self.arguments, **self.variables, **self.extra}
        inner = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        inner += ["/bin/sh", "-c", f"cd {shlex.quote(self.work)} && exec {shlex.join(command)}"]
        script.append(shlex.join(["exec", "chroot", f"--userspec={user or self.user}", str(self.folder), *inner]))
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            raise StepError(f"exit status {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def build(self, dockerfile: Path, given: dict[str, str], debootstrap: str) -> dict[str, list[str]]:
        """Follow the instructions; returns CMD, ENTRYPOINT and HEALTHCHECK."""
        files, ends = context(PROJECT, dockerfile.with_name("Dockerfile.dockerignore")), {}
        for step in read_dockerfile(dockerfile):
            known = {**self.arguments, **self.variables}
            value = step.value if step.word == "RUN" else substituted(step.value, known)
            began = time.monotonic()
            print(f"{dockerfile.name}:{step.line}: {step.word} {value[:100]}", flush=True)
            if step.word == "FROM":
                self._begin(value.split()[0], debootstrap)
                self.arguments = {}  # those before FROM end with it
            elif step.word == "ARG":
                name, _, default = value.partition("=")
                self.arguments[name] = given.get(name, default)
            elif step.word == "ENV":
                path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
                self.variables.update(pairs(substituted(step.value, {**path, **known})))
            elif step.word == "COPY":
                self.copy(value.split(), files)
            elif step.word == "RUN":
                self.run(["/bin/sh", "-c", value])
            elif step.word == "USER":
                self.user = value
            elif step.word in ("WORKDIR", "VOLUME"):
                (self.folder / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
                self.work = value if step.word == "WORKDIR" else self.work
            elif step.word == "HEALTHCHECK":
                ends[step.word] = _json_of(step.value)
            elif step.word in ("CMD", "ENTRYPOINT"):
                ends[step.word] = step.words()
            if time.monotonic() - began > 1:
                print(f"    {time.monotonic() - began:.0f} s", flush=True)
        self.arguments = {}
        return ends

    def _begin(self, image: str, debootstrap: str) -> None:
        """A bare system, made once and copied for each build."""
        name, _, tag = image.partition(":")
        if name != "debian" or not tag:
            raise StepError(f"{image} cannot be made by debootstrap; debian:SUITE can")
        suite, bare = tag.removesuffix("-slim"), self.folder.with_name(f"bare-{tag}")
        if not (bare / "etc" / "os-release").is_file():
            shutil.rmtree(bare, ignore_errors=True)
            command = [*shlex.split(debootstrap), "--variant=minbase", suite, str(bare)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                shutil.rmtree(bare, ignore_errors=True)
                raise StepError(f"debootstrap ended with status {done.returncode}:\n{done.stdout[-2000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run(["cp", "-a", str(bare), str(self.folder)], check=True)
        if RESOLVER.is_file():
            shutil.copyfile(RESOLVER, self.folder / "etc" / "resolv.conf")

    def copy(self, words: list[str], files: list[str]) -> None:
        """COPY's sources and target; `files` are what is sent to the builder."""
        *sources, target = words
        for source in sources:
            found = named(files, source)
            if not found:
                raise StepError(f"COPY {source}: no such file in what is sent to the builder")
            for name in found:
                below = name.removeprefix(f"{source}/") if name.startswith(f"{source}/") else ""
                place = Path(target, below or Path(name).name) if below or target.endswith("/") else Path(target)
                written = self.folder / str(place).lstrip("/")
                written.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, written)


def _json_of(value: str) -> list[str]:
    """The command of a HEALTHCHECK in its JSON form."""
    import json

    return [str(word) for word in json.loads(value[value.index("[") :])]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--debootstrap", default="debootstrap", metavar="PROGRAM")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--bind", action="append", default=[], metavar="PLACE")
    options = parser.parse_args()
    missing = [tool for tool in ("unshare", shlex.split(options.debootstrap)[0]) if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        print(f"error: this needs root{f', and {missing[0]}' if missing else ''}", file=sys.stderr)
        return 3
    given, extra = (dict(line.split("=", 1) for line in lines) for lines in (options.build_arg, options.env))
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    root = Root(folder / "root", extra, options.bind)
    try:
        ends = root.build(HERE / "Dockerfile", given, options.debootstrap)
        _try(root, ends, folder)
    except StepError as fault:
        print(f"failed: {fault}", file=sys.stderr)
        return 2
    return 0


def _try(root: Root, ends: dict[str, list[str]], folder: Path) -> None:
    """What the image promises. Raises StepError for the first promise that it breaks."""
    root.extra = {}  # nothing of this machine's any more
    root.binds = ()
    print("doctor, as the image's user")
    print(root.run([*ends["ENTRYPOINT"], *ends["CMD"]]))
    print("the health check")
    root.run(ends["HEALTHCHECK"])
    found = root.run(["sh", "-c", "for tool in cc gcc g++ nvcc make; do command -v $tool; done; true"])
    if found:
        raise StepError(f"the image has compilers: {found}")
    written = root.run(["sh", "-c", "find / -xdev -writable -not -path '/proc/*' -type d 2>/dev/null | sort"])
    allowed = ("/cache", "/work", "/tmp", "/var/tmp", "/dev", "/run/lock")
    if bad := [place for place in written.split() if not place.startswith(allowed)]:
        raise StepError(f"its user may write to {', '.join(bad[:5])}")
    print("a tiny reconstruction, as another user, from a folder that is read only")
    shared = folder / "shared by run.sh"
    shutil.rmtree(shared, ignore_errors=True)
    for name in ("data", "jobs"):
        (shared / name).mkdir(parents=True)
        os.chown(shared / name, *map(int, STRANGER.split(":")))
    views = [(HERE, "/mnt", True), (shared / "data", "/work/data", False)]
    root.run(["python", "/mnt/views.py", "/work/data/a ball"], STRANGER, views)
    began = time.monotonic()
    mounts = [(shared / "data", "/work/data", True), (shared / "jobs", "/work/jobs", False)]
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    words = ["reconstruct", "data/a ball", "-o", "jobs/a ball", "--preset", "draft", "--device", "cpu", *settings]
    said = root.run([*ends["ENTRYPOINT"], *words], STRANGER, mounts)
    result = shared / "jobs" / "a ball" / "result"
    if not (result / "result.json").is_file() or (result / "mesh.glb").stat().st_uid != int(STRANGER.split(":")[0]):
        raise StepError(f"it ended well, and its result is not there or not the caller's:\n{said[-2000:]}")
    print(f"    {time.monotonic() - began:.0f} s: {', '.join(sorted(path.name for path in result.iterdir()))}")
    size = subprocess.run(["du", "-sm", str(root.folder)], capture_output=True, text=True, check=True).stdout.split()[0]
    print(f"All steps work. The root has {size} MB.")


if __name__ == "__main__":
    sys.exit(main())
