"""Terms that look at the materials and the light alone, never at a photograph."""

from __future__ import annotations

from torch import Tensor

from backend.material.channels import MaterialSample


def material_smoothness(
    here: MaterialSample, near: MaterialSample, real: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean absolute difference of the material at points and at jittered ones.

    Args:
        here, near: N points each.
        real: [N, 1] bool which points count, or None for all.

    Returns:
        Two scalars: of base colour, and of roughness and metallic together; 0 where no point counts. Gradients reach both samples.
    """
    color = mean_of((here.base_color - near.base_color).abs(), real)
    surface = mean_of((here.roughness - near.roughness).abs(), real) + mean_of(
        (here.metallic - near.metallic).abs(), real
    )
    return color, surface


def mean_of(values: Tensor, real: Tensor | None = None) -> Tensor:
    """Mean of values [N, C] over the rows in `real` ([N, 1] bool, None for all); 0 where there is none."""
    if real is None:
        return values.sum() / max(1, values.numel())
    return (values * real).sum() / (real.sum().clamp(min=1) * values.shape[1])


def metalness(metallic: Tensor, pixels: Tensor, real: Tensor | None = None) -> Tensor:
    """Metal over the photographs' pixels, as the colour term counts them: what they leave undecided has to pay for being metal.

    Args:
        metallic: [N, 1] at the pixels with surface, in [0, 1].
        pixels: [] how many pixels the photographs have, those without surface included.
        real: as in `mean_of`.
    """
    return (metallic if real is None else metallic * real).sum() / pixels.clamp(min=1)


def light_whiteness(texels: Tensor) -> Tensor:
    """Mean absolute difference of radiance [..., 3] from its own grey: a coloured light has to pay for its colour."""
    return (texels - texels.mean(-1, keepdim=True)).abs().mean()


def normal_uprightness(normal: Tensor, real: Tensor | None = None) -> Tensor:
    """Mean of 1 - z of tangent-space normals [N, 3]: a normal map has to pay for its tilt. `real` as in `mean_of`."""
    return mean_of(1.0 - normal[:, 2:], real)
