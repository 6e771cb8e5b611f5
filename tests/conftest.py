"""What needs Blender is marked, so that it can be run, or left out, for itself."""

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "blender" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.blender)
