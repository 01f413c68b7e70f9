"""Matrix products by packed weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pvtt_flow.models.sam2.packed_linear import Activation, Dense, pack_linears


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize("shape", [(5, 24), (2, 7, 24), (1, 3, 4, 24)])
def test_it_is_a_linear_layer(shape: tuple[int, ...], activation: Activation) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(shape)
    found = Dense(linear.weight, linear.bias, activation)(x)
    expected = linear(x).relu() if activation == "relu" else linear(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_its_input_may_be_a_view() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(3, 24, 9)
    found = Dense(linear.weight, linear.bias)(x.transpose(1, 2))
    torch.testing.assert_close(found, linear(x.transpose(1, 2)), atol=1e-5, rtol=1e-5)


def test_under_autocast_it_computes_in_bfloat16() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40), torch.randn(5, 24)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = Dense(linear.weight, linear.bias, "relu")(x)
        expected = functional.relu(linear(x))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_every_linear_layer_of_a_model_is_replaced() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8)), nn.Linear(8, 4))
    x = torch.randn(5, 6)
    expected = model(x)
    pack_linears(model)
    kinds = [type(part) for part in model.modules() if not isinstance(part, nn.Sequential)]
    assert kinds == [Dense, nn.LayerNorm, Dense]
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)
