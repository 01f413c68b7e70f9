"""Linear layers with packed weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pvtt_flow.models.sam2.packed_linear import Activation, PackedLinear, pack_linears


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("shape", [(5, 24), (2, 7, 24), (1, 3, 4, 24)])
def test_a_packed_layer_equals_a_linear_layer(
    shape: tuple[int, ...], activation: Activation
) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(shape)
    result = PackedLinear(linear.weight, linear.bias, activation)(x)
    expected = linear(x).relu() if activation == "relu" else linear(x)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_the_input_may_be_a_view() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(3, 24, 9)
    result = PackedLinear(linear.weight, linear.bias)(x.transpose(1, 2))
    torch.testing.assert_close(result, linear(x.transpose(1, 2)), atol=1e-5, rtol=1e-5)


def test_autocast_computes_in_bfloat16() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(5, 24)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        result = PackedLinear(linear.weight, linear.bias, "relu")(x)
        expected = functional.relu(linear(x))
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, expected)


def test_each_linear_layer_of_a_model_is_replaced() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8)), nn.Linear(8, 4))
    x = torch.randn(5, 6)
    expected = model(x)
    pack_linears(model)
    kinds = [type(part) for part in model.modules() if not isinstance(part, nn.Sequential)]
    assert kinds == [PackedLinear, nn.LayerNorm, PackedLinear]
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)
