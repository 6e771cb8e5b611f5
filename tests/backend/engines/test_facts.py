import subprocess
import sys
from unittest import mock

import pytest

from backend.engines.facts import engine_facts


def test_builtin_is_there_with_its_version_and_where_it_runs():
    builtin, *others = engine_facts()
    assert builtin.name == "builtin" and builtin.available and builtin.reason.startswith("runs on the CPU")
    assert builtin.version and builtin.licence == "Apache-2.0"
    assert [fact.name for fact in others] == ["nvdiffrast", "tinycudann"]
    assert others[0].licence == "research and evaluation only"


def test_a_package_that_cannot_load_is_told_with_its_reason_and_breaks_nothing(tmp_path, monkeypatch):
    (tmp_path / "tinycudann.py").write_text("raise OSError('no GPU was found\\nand more')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tinycudann", raising=False)
    fact = engine_facts()[2]
    assert (fact.available, fact.reason) == (False, "OSError: no GPU was found")


@pytest.mark.parametrize("name", ["nvdiffrast", "diffrp_nvdiffrast"])
def test_the_version_is_found_under_either_name_of_the_distribution(name, tmp_path, monkeypatch):
    (tmp_path / "nvdiffrast").mkdir()
    (tmp_path / "nvdiffrast" / "__init__.py").write_text("")
    info = tmp_path / f"{name}-0.3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with mock.patch.dict(sys.modules):  # where the package is really installed, others want it again
        sys.modules.pop("nvdiffrast", None)
        fact = engine_facts()[1]
    assert (fact.available, fact.version) == (False, "0.3.1")  # the package is hollow


def test_importing_the_module_loads_no_engine():
    code = "import sys, backend.engines.facts; print([m for m in ('torch', 'warp', 'nvdiffrast') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
