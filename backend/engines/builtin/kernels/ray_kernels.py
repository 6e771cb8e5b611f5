"""Kernels that ask Warp's bounding volume hierarchy of a mesh."""

import warp as wp


@wp.kernel(enable_backward=False)
def closest_hits(
    offset: int,
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    far: float,
    distances: wp.array(dtype=float),
    triangles: wp.array(dtype=int),
):
    item = offset + wp.tid()
    hit = wp.mesh_query_ray(mesh, origins[item], directions[item], far)
    if hit.result:
        distances[item] = hit.t
        triangles[item] = hit.face
    else:
        distances[item] = wp.inf
        triangles[item] = -1


@wp.kernel(enable_backward=False)
def any_hits(
    offset: int,
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    near: float,
    far: float,
    occluded: wp.array(dtype=wp.bool),
):
    item = offset + wp.tid()
    start = origins[item] + directions[item] * near
    occluded[item] = wp.mesh_query_ray_anyhit(mesh, start, directions[item], far - near)
