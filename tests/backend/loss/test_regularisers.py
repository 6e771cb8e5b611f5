import pytest
import torch

from backend.loss.regularisers import light_whiteness, material_smoothness, mean_of, metalness, normal_uprightness
from backend.material.channels import MaterialSample


def sample(color, roughness, metallic):
    return MaterialSample(torch.tensor([color]), torch.tensor([[roughness]]), torch.tensor([[metallic]]))


def test_values_worked_by_hand():
    color, rest = material_smoothness(sample([0.2, 0.4, 0.6], 0.5, 0.0), sample([0.5, 0.4, 0.3], 0.3, 0.1))
    assert color.item() == pytest.approx(0.6 / 3) and rest.item() == pytest.approx(0.2 + 0.1)
    values, real = torch.tensor([[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]), torch.tensor([[True], [True], [False]])
    assert mean_of(values).item() == pytest.approx(5.0) and mean_of(values, real).item() == pytest.approx(3.0)
    assert mean_of(values[:0]) == 0.0 and mean_of(values, ~real & real) == 0.0
    assert metalness(values[:, :1], torch.tensor(20)).item() == pytest.approx(13.0 / 20)
    assert metalness(values[:, :1], torch.tensor(20), real).item() == pytest.approx(4.0 / 20)
    assert metalness(values[:0, :1], torch.tensor(0)) == 0.0
    assert light_whiteness(torch.tensor([[3.0, 0.0, 0.0], [5.0, 5.0, 5.0]])).item() == pytest.approx((2 + 1 + 1) / 6)
    assert normal_uprightness(torch.tensor([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]])).item() == pytest.approx(0.1)
