"""What passes between Blender and the backend: the request, the events, the job folder, the result, and what each failure is called.

Both sides import this package, so it needs nothing beyond the standard library of Python 3.10, and names nothing outside itself: in
Blender it stands under the extension's own name.
"""

from .camera_files import CAMERA_FILES, CameraFiles
from .errors import Cancelled, EnvironmentFault, RequestError, UnrenderError
from .events import (
    STAGES,
    Event,
    Failed,
    Finished,
    MeshUpdate,
    Planned,
    Preview,
    Progress,
    Started,
    Warned,
    Watching,
    parse_event,
)
from .job import JobFolder, Status, read_status
from .release import version
from .request import PRESETS, Request, apply_preset, assign, parse, to_dict
from .result import ALPHA_CUTOFF, RESULT_FORMAT, Alpha, Result, read_result, write_result
from .sections import (
    AssetStage,
    LightSettings,
    RefineStage,
    RefineWeights,
    ShapeStage,
    ShapeWeights,
    ViewSettings,
)
from .whole_file import write_json, written_whole

__all__ = [
    "ALPHA_CUTOFF",
    "CAMERA_FILES",
    "PRESETS",
    "RESULT_FORMAT",
    "STAGES",
    "Alpha",
    "AssetStage",
    "CameraFiles",
    "Cancelled",
    "EnvironmentFault",
    "Event",
    "Failed",
    "Finished",
    "JobFolder",
    "LightSettings",
    "MeshUpdate",
    "Planned",
    "Preview",
    "Progress",
    "RefineStage",
    "RefineWeights",
    "Request",
    "RequestError",
    "Result",
    "ShapeStage",
    "ShapeWeights",
    "Started",
    "Status",
    "UnrenderError",
    "ViewSettings",
    "Warned",
    "Watching",
    "apply_preset",
    "assign",
    "parse",
    "parse_event",
    "read_result",
    "read_status",
    "to_dict",
    "version",
    "write_json",
    "write_result",
    "written_whole",
]
