"""A clip solved by Blender itself through a bent lens, an image sequence and a movie behind moving cameras: each frame a view."""

import math
from pathlib import Path

import bpy
import numpy as np
from common import FOLDER, answer, camera, install, refusal
from dump import difference, dump
from mathutils import Euler, Matrix, Vector

install()
scene = bpy.context.scene
COUNT, WIDTH, HEIGHT, SHAPE = 8, 96, 64, 0.7  # of the clip: frames, pixels, and a pixel's width over its height
LENS = {"k1": -0.1, "k2": 0.03, "k3": 0.01, "k4": 0.002, "p1": -0.02, "p2": 0.01}  # as OpenCV has it
FOCAL, CENTRE = 110.0, (50.0, 30.0)  # of the clip; the centre from the lower left


def pictures():
    """A sequence shot_0005.png ..., each frame of its own values, and the same as a movie."""
    across, up = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    for index in range(COUNT):
        made = bpy.data.images.new("made", WIDTH, HEIGHT)
        values = np.stack([0 * up + 20 * index + 9, 2 * across, 3 * up, 0 * up + 255], axis=-1) / 255.0
        made.pixels.foreach_set(values.astype(np.float32).ravel())
        made.filepath_raw, made.file_format = str(FOLDER / f"shot_{index + 5:04}.png"), "PNG"
        made.save()
        bpy.data.images.remove(made)
    writing = bpy.data.scenes.new("Writing")
    render, editor = writing.render, writing.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("shot", str(FOLDER / "shot_0005.png"), 1, 1)
    for index in range(1, COUNT):
        strip.elements.append(f"shot_{index + 5:04}.png")
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format, render.image_settings.color_mode = "FFMPEG", "RGB"
    render.ffmpeg.format, render.ffmpeg.codec = "MKV", "FFV1"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.filepath, render.use_file_extension, render.dither_intensity = str(FOLDER / "film.mkv"), False, 0.0
    writing.view_settings.view_transform, writing.frame_end = "Standard", COUNT
    bpy.ops.render.render(animation=True, scene=writing.name)
    bpy.data.scenes.remove(writing)


def solved_clip():
    """A clip whose markers come from known cameras through a known lens, solved by Blender."""
    clip = bpy.data.movieclips.load(str(FOLDER / "shot_0005.png"))
    held = clip.tracking.camera
    held.focal_length_pixels, held.principal_point_pixels, held.pixel_aspect = FOCAL, CENTRE, SHAPE
    held.distortion_model = "BROWN"
    for name in ("k1", "k2", "k3", "k4"):
        setattr(held, f"brown_{name}", LENS[name])
    held.brown_p1, held.brown_p2 = LENS["p2"], -LENS["p1"]
    points = np.random.default_rng(0).uniform(-1, 1, (30, 3))
    tracks = [clip.tracking.tracks.new(name=f"t{index}", frame=1) for index in range(len(points))]
    for frame in range(1, COUNT):  # the last has no markers, and so no camera
        angle = 0.25 * frame
        eye = np.array([4.5 * math.sin(angle), -4.5 * math.cos(angle), 1.0 + 0.3 * frame])
        seen = (points - eye) @ np.array(Vector(-eye).to_track_quat("-Z", "Y").to_matrix())
        x, y = seen[:, 0] / -seen[:, 2], seen[:, 1] / seen[:, 2]
        r = x * x + y * y
        bend = 1 + LENS["k1"] * r + LENS["k2"] * r**2 + LENS["k3"] * r**3 + LENS["k4"] * r**4
        u = FOCAL * (x * bend + 2 * LENS["p1"] * x * y + LENS["p2"] * (r + 2 * x * x)) + CENTRE[0]
        v = FOCAL * (y * bend + LENS["p1"] * (r + 2 * y * y) + 2 * LENS["p2"] * x * y)
        squares = int(HEIGHT / SHAPE)  # rows of square pixels, as the solver counts them
        for track, right, down in zip(tracks, u, v):
            track.markers.insert_frame(frame, co=(right / WIDTH, (CENTRE[1] / SHAPE - down) / squares))
    thing = clip.tracking.objects.active
    thing.keyframe_a, thing.keyframe_b = 1, COUNT - 2
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=area.regions[-1]):
        bpy.ops.clip.solve_camera()
    return clip


def moving_camera(name, x):
    """A camera with keyed place and lens, and its pose at each frame."""
    thing = camera(name)
    for frame in (1, 30):
        thing.location, thing.rotation_euler = (x, frame / 5, 3), (1.0, 0.0, frame / 20)
        thing.keyframe_insert("location", frame=frame)
        thing.keyframe_insert("rotation_euler", frame=frame)
        thing.data.lens = 40 + frame
        thing.data.keyframe_insert("lens", frame=frame)
    return thing


def select(*things):
    for thing in scene.objects:
        thing.select_set(thing in things)


def export(name, **settings):
    for key, value in {"held_out": 0, **settings}.items():
        setattr(scene.unrender, key, value)
    before = dump()
    bpy.ops.unrender.export_views(directory=str(FOLDER / name))
    changed.extend(difference(before, dump()))


pictures()
clip = solved_clip()
clip.frame_start, clip.frame_offset = 11, 0
changed = []
follower = camera("Follower", Matrix.Translation((1, 2, 3)) @ Euler((0.4, 0.5, 0.6)).to_matrix().to_4x4())
constraint = follower.constraints.new("CAMERA_SOLVER")
constraint.use_active_clip = True
scene.active_clip = clip
scene.frame_start, scene.frame_end, scene.render.resolution_x, scene.render.resolution_y = 1, 100, 200, 100
scene.frame_set(7)
stray = bpy.data.objects.new("Stray", None)
scene.collection.objects.link(stray)
stray.location = (0, 0, 0)
stray.keyframe_insert("location", frame=1)
stray.location = (5, 6, 7)  # not keyed: turning the scene's frame would lose it
stray.select_set(False)
bpy.context.view_layer.update()
select(follower)
export("followed", source="PHOTOS", frames=4)
wanted = {
    f"Follower_{frame:04}": {
        "file": str(FOLDER / f"shot_{frame - 11 + 5:04}.png"),
        "points": [list(follower.matrix_basis @ Vector(track.bundle)) for track in clip.tracking.tracks],
        "marks": [list(track.markers.find_frame(frame - 10).co) for track in clip.tracking.tracks],
    }
    for frame in (11, 13, 15, 17)
}
follower.constraints.clear()
bpy.context.view_layer.update()
export("alone", source="CLIP", frames=100)
alone = {
    f"shot_0005_{view.frame + 10:04}": [list(row) for row in view.matrix]
    for view in clip.tracking.reconstruction.cameras
}

refusals = {}
clip.tracking.camera.distortion_model, clip.tracking.camera.division_k1 = "DIVISION", 0.1
refusals["division"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
clip.tracking.camera.distortion_model = "BROWN"
item = follower.data.background_images.new()
item.source, item.clip = "MOVIE_CLIP", clip
scene.unrender.source = "PHOTOS"
refusals["bent"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
scene.unrender.source, scene.frame_end = "CLIP", 5
refusals["range"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
scene.frame_end, scene.active_clip = 100, None
refusals["none"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
left = (FOLDER / "no").exists()

rows, film = moving_camera("Rows", 1.0), moving_camera("Film", 2.0)
for thing, file, kind in ((rows, "shot_0005.png", "SEQUENCE"), (film, "film.mkv", "MOVIE")):
    image = bpy.data.images.load(str(FOLDER / file), check_existing=False)
    image.source = kind
    item = thing.data.background_images.new()
    item.image, item.frame_method = image, "FIT"
    user = item.image_user
    user.frame_start, user.frame_duration, user.frame_offset = 3, 5, 4 + 2 if kind == "SEQUENCE" else 2
select(rows, film)
scene.frame_set(9)
stray.location = (5, 6, 7)
bpy.context.view_layer.update()
export("frames", source="PHOTOS", frames=100)
shown = {}
for frame in range(3, 8):
    scene.frame_set(frame)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for thing in (film, rows):
        user = rows.data.background_images[0].image_user
        shown[f"{thing.name}_{frame:04}"] = {
            "file": rows.data.background_images[0].image.filepath_from_user(image_user=user),
            "pose": [list(row) for row in thing.evaluated_get(depsgraph).matrix_world.normalized()],
            "lens": thing.evaluated_get(depsgraph).data.lens,
        }
scene.frame_set(4)
before = dump()
action = rows.animation_data.action
curves = action.fcurves if hasattr(action, "fcurves") else action.layers[0].strips[0].channelbags[0].fcurves
curves[0].keyframe_points[0].co.y += 1e-3
answer(
    error=clip.tracking.reconstruction.average_error,
    wanted=wanted,
    alone=alone,
    shown=shown,
    changed=changed,
    noticed=difference(before, dump()),
    size=len(before),
    refusals=refusals,
    left=left,
    frame=[scene.frame_current, Path(FOLDER / "film.mkv").stat().st_size > 0],
)
