"""Everything a .blend keeps, as a flat dictionary: each property of each data-block, collections and animation included."""

import bpy

# the window's own, which changes as one looks; what Blender computes from the rest, or notes for itself (`tag`; how an attribute is held)
LEFT_OUT = {
    "all_ids",
    "window_managers",
    "screens",
    "workspaces",
    "rna_type",
    "depsgraph",
    "bl_rna",
    "is_evaluated",
    "original",
}
LEFT_OUT |= {"tag", "storage_type", "uv_sculpt"}  # reading uv_sculpt ends Blender 4.2 where the file has none
if bpy.app.version < (4, 3, 0):
    LEFT_OUT.add("users")  # Blender 4.2 counts a scene's objects twice when it is copied and once when the copy goes


def dump():
    """{path: value}. Pointers to data-blocks are their full names; those to anything else are followed."""
    found = {}
    for kind in bpy.data.bl_rna.properties:
        if kind.type != "COLLECTION" or kind.identifier in LEFT_OUT:
            continue
        for block in getattr(bpy.data, kind.identifier):
            if getattr(block, "type", "") != "RENDER_RESULT":  # which Blender itself keeps of any render
                _walk(block, f"{kind.identifier}[{block.name_full}]", found, ())
    return found


def difference(before, after):
    """The paths that came, went or changed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _walk(struct, path, found, above):
    key = (struct.as_pointer(), struct.bl_rna.identifier)
    if key in above:
        return
    above = (*above, key)
    own = struct.keys() if isinstance(struct, bpy.types.ID) else ()
    for name in (name for name in own if name not in struct.bl_rna.properties):  # add-ons' registered ones come below
        value = struct[name]
        found[f"{path}[{name!r}]"] = repr(value.to_dict() if hasattr(value, "to_dict") else value)
    for kind in struct.bl_rna.properties:
        name = kind.identifier
        if name in LEFT_OUT:
            continue
        place = f"{path}.{name}"
        try:
            value = getattr(struct, name)
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            found[place] = type(error).__name__
            continue
        if kind.type == "POINTER":
            _follow(value, place, found, above)
        elif kind.type == "COLLECTION":
            found[place] = len(value)
            for index, item in enumerate(value):
                _follow(item, f"{place}[{index}]", found, above)
        elif getattr(kind, "is_array", False):
            found[place] = repr([list(row) if hasattr(row, "__len__") else row for row in value])
        else:
            found[place] = repr(value)


def _follow(value, place, found, above):
    if value is None or isinstance(value, bpy.types.ID):
        embedded = value is not None and value.is_embedded_data
        found[place] = value and value.name_full
        if not embedded:
            return
    _walk(value, place, found, above)
