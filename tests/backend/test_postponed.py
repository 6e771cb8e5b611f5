"""Imports that wait until they are wanted, each in a process of its own: they change the process's imports."""

import subprocess
import sys

import pytest


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_torch_comes_without_its_exporter_and_yet_with_all_of_it_when_asked():
    found = printed(
        "import sys\n"
        "from backend.postponed import postpone\n"
        "postpone(); postpone()\n"
        "import backend.pipeline, torch, inspect\n"
        "inspect.getmodule(torch.zeros)\n"  # looks at every module's file
        "print('torch._prims' in sys.modules, 'torch.export.exported_program' in sys.modules)\n"
        "class Twice(torch.nn.Module):\n"
        "    def forward(self, x): return 2 * x\n"
        "program = torch.export.export(Twice(), (torch.ones(3),))\n"
        "print(program.module()(torch.full((3,), 2.0)).sum().item(), 'torch._prims' in sys.modules)\n"
    )
    assert found == ["False", "False", "12.0", "True"]


@pytest.mark.parametrize(
    "wish",
    [
        "import torch._prims; torch._prims.sum",
        "import torch._refs, torch._decomp",
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(2)))",
        "import torch._inductor.compile_fx, torch._functorch.aot_autograd",
    ],
)
def test_what_refers_back_to_the_waiting_parts_finds_them(wish):
    printed(f"from backend.postponed import postpone\npostpone()\nimport torch\n{wish}\n")


@pytest.mark.parametrize("name", ["length", "missing"])
def test_a_module_is_executed_once_and_at_the_first_name_asked_for(name, tmp_path):
    (tmp_path / "waiting.py").write_text("print('executed')\nlength = 3\n")
    found = printed(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from backend.postponed import Postponed, postpone\n"
        "postpone(Postponed(('waiting', 'no_such_module')))\n"
        "import waiting\n"
        "print('imported', hasattr(waiting, '__wrapped__'), waiting.__name__)\n"
        f"print(getattr(waiting, {name!r}, None), getattr(waiting, {name!r}, None))\n"
        "import importlib\n"
        "try: importlib.import_module('no_such_module')\n"
        "except ModuleNotFoundError: print('none')\n"
    )
    value = "3" if name == "length" else "None"
    assert found == ["imported", "False", "waiting", "executed", value, value, "none"]
