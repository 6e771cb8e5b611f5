import pytest
import torch
from comparing import DEVICES, assert_matches, assert_threads_agree

from backend.engines.builtin.launch import Launcher
from backend.engines.builtin.textures import texture_2d
from backend.engines.reference import textures as oracle

CPU = torch.device("cpu")


@pytest.fixture(params=DEVICES)
def launch(request):
    return Launcher(torch.device(request.param), threads=2)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("shape", [(13, 22, 5), (8, 16, 1), (1, 7, 16)])
def test_value_and_gradients_equal_the_oracle(launch, shape, wrap):
    torch.manual_seed(0)
    texture, uv, level = torch.randn(shape), torch.rand(3000, 2) * 3 - 1, torch.rand(3000) * 7 - 1
    inputs = [texture, uv, level]
    assert_matches(
        lambda t, p, l: texture_2d(t, p, l, wrap, launch),
        lambda t, p, l: oracle.texture_2d(t, p, l, wrap),
        inputs,
        launch.device,
    )
    assert_matches(
        lambda t, p: texture_2d(t, p, None, wrap, launch),
        lambda t, p: oracle.texture_2d(t, p, None, wrap),
        inputs[:2],
        launch.device,
    )


def test_texel_centres_borders_and_levels_by_hand(launch):
    texture = torch.tensor([[1.0, 2.0], [3.0, 6.0]], device=launch.device)[:, :, None]
    uv = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.0, 0.25], [1.0, 0.25]], device=launch.device)  # v grows downwards
    clamped = texture_2d(texture, uv, None, False, launch)[:, 0].tolist()
    wrapped = texture_2d(texture, uv, None, True, launch)[:, 0].tolist()
    assert clamped == [2.0, 3.0, 1.0, 2.0]
    assert wrapped == [2.0, 3.0, 1.5, 1.5]
    level = torch.tensor([-1.0, 0.25, 1.0, 9.0], device=launch.device)
    mixed = texture_2d(texture, uv[:1].expand(4, 2), level, False, launch)[:, 0].tolist()
    assert mixed == [2.0, 2.0 * 0.75 + 3.0 * 0.25, 3.0, 3.0]  # the coarsest level is the mean, 3


def test_coarsest_level_is_the_mean_of_an_odd_texture_and_spreads_its_gradient_evenly(launch):
    torch.manual_seed(0)
    texture = torch.randn(13, 21, 2, device=launch.device, requires_grad=True)
    value = texture_2d(
        texture,
        torch.rand(1, 2, device=launch.device),
        torch.full((1,), 20.0, device=launch.device),
        False,
        launch,
    )
    torch.testing.assert_close(value[0], texture.mean(dim=(0, 1)))
    value.sum().backward()
    torch.testing.assert_close(texture.grad, torch.full_like(texture, 1 / (13 * 21)))


def test_threads_give_the_same_bits_where_many_points_share_texels():
    torch.manual_seed(0)
    inputs = [torch.randn(64, 32, 3), torch.rand(20000, 2) ** 3, torch.rand(20000) * 5]
    assert_threads_agree(
        lambda threads: lambda t, p, l: texture_2d(t, p, l, False, Launcher(CPU, threads)),
        inputs,
    )


@pytest.mark.skipif(len(DEVICES) == 1, reason="needs a CUDA device")
def test_cuda_equals_cpu():
    torch.manual_seed(0)
    inputs = [torch.randn(64, 32, 3), torch.rand(20000, 2), torch.rand(20000) * 5]
    on_cpu = Launcher(CPU)
    assert_matches(
        lambda *given: texture_2d(*given, False, Launcher(torch.device("cuda"))),
        lambda *given: texture_2d(*(tensor.float() for tensor in given), False, on_cpu).double(),
        inputs,
        "cuda",
    )


def test_no_points_and_points_that_are_no_numbers(launch):
    texture = torch.randn(8, 8, 3, device=launch.device, requires_grad=True)
    none = torch.zeros(0, 2, device=launch.device)
    empty = texture_2d(texture, none, none[:, 0], False, launch)
    empty.sum().backward()
    assert empty.shape == (0, 3) and not texture.grad.any()
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30], device=launch.device)
    texture_2d(
        texture, torch.stack([odd, odd], 1), odd, True, launch
    ).sum().backward()  # reads within the texture or crashes


def test_refusals_name_the_argument_what_came_and_what_was_expected():
    launch = Launcher(CPU, threads=1)
    texture, uv = torch.zeros(4, 4, 3), torch.zeros(5, 2)
    with pytest.raises(ValueError, match=r"uv is \[5, 3\].*expected \[any, 2\]"):
        texture_2d(texture, torch.zeros(5, 3), None, False, launch)
    with pytest.raises(ValueError, match=r"texture is .*float64.*expected .*float32"):
        texture_2d(texture.double(), uv, None, False, launch)
    with pytest.raises(ValueError, match=r"level is \[4\].*expected \[5\]"):
        texture_2d(texture, uv, torch.zeros(4), False, launch)
    with pytest.raises(ValueError, match=r"on meta; expected .* on cpu"):
        texture_2d(texture.to("meta"), uv, None, False, launch)
    with pytest.raises(ValueError, match="at least one texel"):
        texture_2d(texture[:0], uv, None, False, launch)
