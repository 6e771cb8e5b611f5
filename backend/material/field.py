"""The material while the surface still moves: a function of the place in space, a hash grid read by a small network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backend.engines.hash_layout import HashLayout
from backend.engines.interface import Engine
from backend.material.channels import LEAST_ROUGHNESS, MaterialSample

_HIDDEN = 32
_OUTPUTS = 5  # base colour, roughness, metallic
_TABLE_SPREAD = 1e-4  # the table starts uniform within this of zero (Mueller et al. 2022)
_LEARNED_SCALE = 0.3  # how far the untrained network's outputs spread about the first guess
# Something glossy and half metal: a polished capture that starts rough and dielectric is explained by a dim light instead, its
# roughness runs into the sigmoid's tail at 1 and stays (docs/results.md). Gloss that is not there is given up easily, and metal for
# the term that prefers dielectrics.
_FIRST_ROUGHNESS = 0.3
_FIRST_METALLIC = 0.5


class MaterialField(nn.Module):
    """Base colour, roughness and metallic at points of the normalised box. It carries no normal: relief belongs to the shape here.

    Hash grid (Mueller et al. 2022) -> two hidden layers of 32 with ReLU -> sigmoid into each channel's range.
    """

    first_logits: Tensor

    def __init__(
        self,
        engine: Engine,
        layout: HashLayout,
        base_color: float = 0.5,
        roughness: float = _FIRST_ROUGHNESS,
        metallic: float = _FIRST_METALLIC,
        generator: torch.Generator | None = None,
    ) -> None:
        """A field that starts near one plain material.

        Args:
            engine: who encodes.
            layout: of the hash grid, from `backend.engines.hash_layout.hash_layout`.
            base_color: first guess, in (0, 1), as are `roughness` (in its own range) and `metallic`.
            generator: makes the start repeatable.
        """
        super().__init__()
        self.engine = engine
        self.layout = layout
        table = torch.empty(layout.entries, layout.features // len(layout.levels))
        self.table = nn.Parameter(table.uniform_(-_TABLE_SPREAD, _TABLE_SPREAD, generator=generator))
        self.hidden_1 = nn.Parameter(_he_uniform(layout.features, _HIDDEN, generator))
        self.hidden_2 = nn.Parameter(_he_uniform(_HIDDEN, _HIDDEN, generator))
        self.output = nn.Parameter(_he_uniform(_HIDDEN, _OUTPUTS, generator) * _LEARNED_SCALE)
        scaled_roughness = (roughness - LEAST_ROUGHNESS) / (1.0 - LEAST_ROUGHNESS)
        first = torch.tensor([base_color] * 3 + [scaled_roughness, metallic])
        self.register_buffer("first_logits", torch.logit(first))

    def forward(self, points: Tensor) -> MaterialSample:
        """points [N, 3] in [-1, 1] (clamped) -> the material there. Gradients reach the parameters and the points."""
        features = self.engine.hash_encode(points.clamp(-1.0, 1.0) * 0.5 + 0.5, self.table, self.layout)
        hidden = torch.relu(torch.relu(features @ self.hidden_1) @ self.hidden_2)
        channels = torch.sigmoid(hidden @ self.output + self.first_logits)
        return MaterialSample(
            base_color=channels[:, :3],
            roughness=LEAST_ROUGHNESS + (1.0 - LEAST_ROUGHNESS) * channels[:, 3:4],
            metallic=channels[:, 4:5],
        )


def _he_uniform(inputs: int, outputs: int, generator: torch.Generator | None) -> Tensor:
    """[inputs, outputs] weights that keep the size of what passes through a ReLU layer (He et al. 2015)."""
    bound = (6.0 / inputs) ** 0.5
    return torch.empty(inputs, outputs).uniform_(-bound, bound, generator=generator)
