"""A layout that records what a draw function asks of it and checks each name against Blender's own, without a window."""

import bpy


class Button:
    """What a recorded operator button hands out: takes any property the operator has."""

    def __init__(self, layout, known):
        object.__setattr__(self, "_layout", layout)
        object.__setattr__(self, "_known", known)

    def __setattr__(self, name, value):
        if name not in self._known:
            self._layout.faults.append(f"operator property {name}")


class RecordingLayout:
    """Give it to a draw function as `self.layout`.

    Attributes:
        drawn: property names, operator and menu names, and texts, in order.
        faults: what Blender does not know, and what an artist is not told (an operator or a property without a tooltip).
    """

    _real = bpy.types.UILayout.bl_rna
    _icons = frozenset(_real.functions["prop"].parameters["icon"].enum_items.keys())

    def __init__(self, drawn=None, faults=None):
        object.__setattr__(self, "drawn", [] if drawn is None else drawn)
        object.__setattr__(self, "faults", [] if faults is None else faults)

    def __setattr__(self, name, value):
        if name not in self._real.properties:
            self.faults.append(f"layout.{name}")

    def __getattr__(self, name):
        if name in self._real.properties:
            return None
        if name not in self._real.functions:
            self.faults.append(f"layout.{name}()")
            return lambda *_, **__: RecordingLayout(self.drawn, self.faults)
        return lambda *arguments, **settings: self._call(name, arguments, settings)

    def _call(self, name, arguments, settings):
        parameters = self._real.functions[name].parameters
        places = [p.identifier for p in parameters if not p.is_output]
        given = dict(zip(places, arguments)) | settings
        extra = {"text", "text_ctxt", "translate", "icon", "icon_value"} if name == "panel_prop" else {"text_ctxt"}
        self.faults.extend(f"{name}({key}=)" for key in settings if key not in parameters and key not in extra)
        if given.get("icon", "NONE") not in self._icons:
            self.faults.append(f"icon {given['icon']}")
        if "property" in given and "data" in given:
            self._property(given["data"], given["property"])
        if name in ("operator", "operator_menu_enum"):
            return self._operator(given["operator"])
        if name in ("menu", "popover"):
            kind = given.get("menu") or given.get("panel")
            if not hasattr(bpy.types, kind):
                self.faults.append(f"{name} {kind}")
            self.drawn.append(kind)
        if name in ("label", "progress"):
            self.drawn.append(given.get("text", ""))
        inner = RecordingLayout(self.drawn, self.faults)
        return (inner, inner) if name in ("panel", "panel_prop") else inner

    def _property(self, data, name):
        self.drawn.append(name)
        found = data.bl_rna.properties.get(name)
        if found is None:
            self.faults.append(f"property {name}")
        elif not found.description:
            self.faults.append(f"property {name} has no tooltip")

    def _operator(self, name):
        self.drawn.append(name)
        space, verb = name.split(".")
        if verb not in dir(getattr(bpy.ops, space)):
            self.faults.append(f"operator {name}")
            return Button(self, ())
        kind = getattr(getattr(bpy.ops, space), verb).get_rna_type()
        if not kind.description:
            self.faults.append(f"operator {name} has no tooltip")
        return Button(self, kind.properties.keys())


def lint(cls, context, functions=("draw_header", "draw_header_preset", "draw")):
    """Draw a panel, menu or preferences class; returns what was drawn and what is wrong. `poll` is obeyed."""
    layout = RecordingLayout()
    if "poll" in dir(cls) and not cls.poll(context):
        return layout
    ours = [base for base in cls.__mro__ if base is not object and not base.__module__.startswith("bpy")]
    own = {name: value for base in reversed(ours) for name, value in vars(base).items() if not name.startswith("__")}
    stand_in = type(f"{cls.__name__}StandIn", (), {name: own[name] for name in own if name != "bl_rna"})()
    stand_in.layout = layout
    for name in functions:
        if callable(getattr(stand_in, name, None)):
            getattr(stand_in, name)(context)
    return layout


def untold(group):
    """Properties of a registered group, and choices of its enumerations, that have no tooltip."""
    missing = []
    for item in group.bl_rna.properties:
        if item.identifier in ("rna_type", "name") or item.is_hidden:
            continue
        if not item.description:
            missing.append(item.identifier)
        if item.description.endswith("."):
            missing.append(f"{item.identifier} ends in a full stop")
        if item.type == "ENUM":
            missing += [f"{item.identifier}.{each.identifier}" for each in item.enum_items if not each.description]
    return missing
