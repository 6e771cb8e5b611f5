"""Parts of a library that are imported along with it but hardly ever used: executed when something first asks for them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Postponed:
    """What waits, and what it would have imported early.

    Attributes:
        modules: are executed when an attribute of theirs is asked for.
        wanting: modules that rely on these having been executed: importing one executes all that wait, first.
    """

    modules: tuple[str, ...]
    wanting: tuple[str, ...] = ()


# What torch's compiler and exporter need, a third of the time that importing torch takes: the shapes of the results of operations on
# tensors without data, and `torch.export`. Nothing here compiles, exports or makes such tensors.
OF_TORCH = Postponed(
    ("torch._meta_registrations", "torch.export"),
    ("torch._dynamo",),
)


def postpone(what: Postponed = OF_TORCH) -> None:
    """From now on imports of these modules wait.

    For a process's entry point, before the library is imported: it changes imports for the whole process. A module that is imported
    already stays as it is; a name that no module has does nothing.
    """
    if not any(isinstance(finder, _Finder) and finder.what == what for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(what))


class _Finder(MetaPathFinder):
    def __init__(self, what: Postponed) -> None:
        self.what = what

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module's own spec with a loader that waits; what waits is executed where it has to be."""
        if fullname in self.what.modules:
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Waiting(spec.loader)
            return spec
        if fullname in self.what.wanting:
            for name in self.what.modules:
                loader = getattr(getattr(sys.modules.get(name), "__spec__", None), "loader", None)
                if isinstance(loader, _Waiting):
                    loader.wake(sys.modules[name])
        return None


class _Waiting(Loader):
    """A loader that executes a module only once it is asked for a name other than its own file, path and the like.

    `importlib.util.LazyLoader` does so at any attribute, even those at which `inspect` looks in every module there is.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Leave word of how to go on when a name is missing (PEP 562)."""

        def missing(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            self.wake(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = missing

    def wake(self, module: ModuleType) -> None:
        """Execute the module, if that has not begun."""
        if module.__dict__.pop("__getattr__", None) is not None:
            self._loader.exec_module(module)
