"""What the panels share."""

from __future__ import annotations

import bpy


class Panel(bpy.types.Panel):
    """What all panels of the sidebar share; it is not registered itself."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Unrender"

    def column(self) -> bpy.types.UILayout:
        """A layout with labels on the left."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        return layout.column()
