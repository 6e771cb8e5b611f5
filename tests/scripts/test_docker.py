"""The image's recipe is sound, and its commands hand the container what they should. Docker itself is not needed."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts" / "docker"))

import check
import dockerfile

from backend.contract import version

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "scripts" / "docker"
RECIPE, IGNORE = DOCKER / "Dockerfile", DOCKER / "Dockerfile.dockerignore"


def tool(name):
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    return found or pytest.skip(f"{name} is not installed (requirements/test.txt)")


@pytest.mark.parametrize(
    ("name", "words"),
    [("hadolint", [RECIPE]), ("shellcheck", ["--external-sources", *DOCKER.glob("*.sh"), ROOT / ".ci" / "run"])],
)
def test_linters_find_nothing(name, words):
    done = subprocess.run([tool(name), *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_all_that_is_copied_is_sent_and_all_that_is_sent_is_copied():
    copied = [
        source for step in dockerfile.read_dockerfile(RECIPE) if step.word == "COPY" for source in step.words()[:-1]
    ]
    sent = dockerfile.context(ROOT, IGNORE)
    assert all(dockerfile.named(sent, source) for source in copied)
    assert set(sent) == {name for source in copied for name in dockerfile.named(sent, source)}
    for name in sent:
        assert "__pycache__" not in name and not name.startswith(("tests", "addon", ".git"))
    scripts = {Path(name).stem for name in sent if name.startswith("scripts/")}
    for name in scripts:  # and each of them finds the others that it imports
        tree = list(ast.walk(ast.parse((ROOT / "scripts" / f"{name}.py").read_text(encoding="utf-8"))))
        used = {node.module for node in tree if isinstance(node, ast.ImportFrom)}
        used |= {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
        assert {module for module in used if (ROOT / "scripts" / f"{module}.py").is_file()} <= scripts, name


def test_the_image_runs_the_backend_as_nobody_special_and_ends_it_by_an_interrupt():
    steps = {step.word: step for step in dockerfile.read_dockerfile(RECIPE)}
    assert steps["ENTRYPOINT"].words() == ["python", "-m", "backend"] and steps["CMD"].words() == ["doctor"]
    assert steps["USER"].value == "10001:10001" and steps["STOPSIGNAL"].value == "SIGINT"
    assert "doctor" in steps["HEALTHCHECK"].value


def test_a_recipe_is_read_as_docker_reads_it(tmp_path):
    path = tmp_path / "Dockerfile"
    path.write_text('# c\nFROM a:b\nRUN one \\\n# between\n    && two\n\nENV A=1 \\\n    B="x y"\nCMD ["p", "q r"]\n')
    steps = dockerfile.read_dockerfile(path)
    assert [(step.word, step.line) for step in steps] == [("FROM", 2), ("RUN", 3), ("ENV", 7), ("CMD", 9)]
    assert steps[1].value == "one && two" and steps[3].words() == ["p", "q r"]
    assert dockerfile.pairs(steps[2].value) == [("A", "1"), ("B", "x y")]
    assert dockerfile.substituted("${A}/$B-$C", {"A": "1", "B": "2"}) == "1/2-"
    path.write_text("FROM a\nADD x y\n")
    with pytest.raises(ValueError, match="ADD"):
        dockerfile.read_dockerfile(path)


def test_what_is_copied_is_enough_to_run(tmp_path):
    """The image's files without its system: the backend and the script for data, from these files alone."""
    root = check.Root(tmp_path / "root", {}, ())
    sent = dockerfile.context(ROOT, IGNORE)
    for step in dockerfile.read_dockerfile(RECIPE):
        if step.word == "COPY":
            root.copy(step.words(), sent)
    app = tmp_path / "root" / "opt" / "unrender" / "app"
    alone = {**os.environ, "PYTHONPATH": str(app), "PYTHONDONTWRITEBYTECODE": "1"}
    lego = ["-m", "backend", "reconstruct", "--config", "nerf_lego", "-o", "out"]
    listing = [str(app / "scripts" / "download_datasets.py")]
    said = []
    for command, status in ((lego, 2), (listing, 0)):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, env=alone)
        assert done.returncode == status, done.stderr
        said.append(done.stdout + done.stderr)
    assert "download_datasets.py nerf_lego" in said[0] and "data/nerf_synthetic/lego" in said[1]
    ours = {
        path.relative_to(ROOT).as_posix() for kind in ("py", "json") for path in (ROOT / "backend").rglob(f"*.{kind}")
    }
    assert ours <= set(sent) and (app / "blender_manifest.toml").is_file()
    assert (tmp_path / "root" / "opt" / "unrender" / "requirements.txt").read_text().count("torch==") == 1


@pytest.fixture
def call(tmp_path):
    """Runs one of the scripts with a `docker` that writes down its arguments; returns the process and these."""
    fake, heard = tmp_path / "bin" / "docker", tmp_path / "heard.json"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(heard)!r}, 'w'))\n")
    fake.chmod(0o755)
    (tmp_path / "here it is").mkdir()

    def run(script, *words, path=True, **variables):
        heard.unlink(missing_ok=True)
        places = f"{fake.parent}:/usr/bin:/bin" if path else "/usr/bin:/bin"
        done = subprocess.run(
            ["bash", str(DOCKER / script), *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path / "here it is",
            env={**os.environ, "PATH": places, **variables},
        )
        return done, json.loads(heard.read_text()) if heard.exists() else []

    return run


def test_folders_with_odd_names_are_mounted_and_the_user_is_kept(call, tmp_path):
    odd = tmp_path / 'photos, "mine" & yours'
    odd.mkdir()
    done, words = call("run.sh", "--data", str(odd), "--gpus", "none", "reconstruct", "data/a b", "-o", "jobs/x")
    assert done.returncode == 0, done.stderr
    mounts = [words[index + 1] for index, word in enumerate(words) if word == "--mount"]
    quoted = str(odd).replace('"', '""')
    assert f'type=bind,"source={quoted}",target=/work/data,readonly' in mounts
    assert f'type=bind,"source={tmp_path / "here it is" / "jobs"}",target=/work/jobs' in mounts
    assert (tmp_path / "here it is" / "jobs").is_dir()
    assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert words[:2] == ["run", "--rm"] and "--gpus" not in words and "--interactive" not in words
    assert words[-5:] == ["unrender:latest", "reconstruct", "data/a b", "-o", "jobs/x"]


def test_gpus_and_the_background(call):
    done, words = call("run.sh", "--detach", "--name", "lego", "--gpus", "0,1", "doctor", "--json")
    assert words[:2] == ["run", "--detach"] and words[words.index("--gpus") + 1] == '"device=0,1"'
    assert "--rm" not in words and words[-3:] == ["unrender:latest", "doctor", "--json"]
    assert "logs --follow lego" in done.stdout and "stop lego" in done.stdout
    _, words = call("run.sh", "--gpus", "all", "--option", "--env=A=b c", "download", "nerf_lego", "--size", "400")
    assert words[words.index("--gpus") + 1] == "all" and "--env=A=b c" in words
    assert any(word.endswith("target=/work/data") for word in words)  # to be written to
    assert words[words.index("unrender:latest") + 1 :] == [
        "python", "/opt/unrender/app/scripts/download_datasets.py", "nerf_lego", "--size", "400"
    ]  # fmt: skip


def test_what_cannot_be_done_is_said(call, tmp_path):
    for words, status, said in (
        (("run.sh",), 2, "run.sh doctor"),
        (("run.sh", "--data", "nowhere", "doctor"), 2, "no folder nowhere"),
        (("run.sh", "--gpus"), 2, "--gpus needs a value"),
        (("run.sh", "--colour", "doctor"), 2, "unknown option --colour"),
        (("build.sh", "--colour"), 2, "unknown option --colour"),
    ):
        done, heard = call(*words)
        assert (done.returncode, heard) == (status, []) and said in done.stderr
    done, _ = call("run.sh", "doctor", UNRENDER_DOCKER="no-such-docker")
    assert done.returncode == 3 and "no-such-docker is not installed" in done.stderr


def test_building_takes_the_whole_project_and_names_the_version(call):
    done, words = call("build.sh", "--torch-index", "https://example.org/cu126", "--", "--no-cache")
    assert done.returncode == 0 and words[0] == "build" and words[-2:] == ["--no-cache", str(ROOT)]
    assert words[words.index("--file") + 1] == str(RECIPE)
    assert f"unrender:{version()}" in words and "TORCH_INDEX=https://example.org/cu126" in words
    _, words = call("build.sh", "--cpu")
    assert words[words.index("--tag") + 1] == "unrender:cpu" and words.count("--tag") == 1
