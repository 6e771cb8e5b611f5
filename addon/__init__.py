"""The Blender side of Unrender. SPDX-License-Identifier: GPL-3.0-or-later."""

import atexit
from types import ModuleType

from . import command_line, panels, preferences, properties, watch
from .operators import (
    asset,
    cancel,
    environment,
    export_views,
    import_result,
    open_file,
    pause,
    presets,
    reconstruct,
    sliced,
)

MODULES = (
    preferences,
    environment,
    properties,
    export_views,
    reconstruct,
    pause,
    cancel,
    presets,
    open_file,
    sliced,
    import_result,
    asset,
    panels,
    command_line,
    watch,
)
_registered: list[ModuleType] = []


def register() -> None:
    """Add the classes to Blender, all or none. Blender 4.2 and 4.5 crash or hang at exit while any is left, hence the exit handler."""
    atexit.unregister(properties.let_go)
    atexit.register(properties.let_go)  # handlers run last in, first out: after the one below
    atexit.register(unregister)
    try:
        for module in MODULES:
            module.register()
            _registered.append(module)
    except BaseException:
        unregister()
        raise


def unregister() -> None:
    """Take everything away again, in reverse order, and end a running backend. Harmless when Blender or the exit asks once more."""
    atexit.unregister(unregister)
    while _registered:
        _registered.pop().unregister()
