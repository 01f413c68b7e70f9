"""Memories as they are made and stored, against the official ones."""

import pytest
import torch
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from pvtt_flow.models.sam2.conditioning import stacked
from pvtt_flow.models.sam2.prefetch import square
from tests.models.sam2.float32_memories import unrounded
from tests.models.sam2.official import official_images
from tests.models.sam2.pair import Pair
from tests.models.sam2.shots import shot

BOX = ((20.0, 40.0), (60.0, 90.0))
LABELS = (2, 3)


def memories(pair: Pair, *, prompted: bool) -> tuple[Tensor, Tensor]:
    """The engine's (T, Cm) and the official one's of the same logits."""
    frames, model, predictor = shot(1).frames, pair.model, pair.official.predictor
    with torch.inference_mode():
        features = model.encode(stacked([square(frames[0].rgb, model.size_px)]))
        points, labels = torch.tensor([BOX]), torch.tensor([LABELS], dtype=torch.int32)
        sight = model.look(features, points, labels)
        found = model.memorise(features.memory_base, sight, prompted=prompted)
        encoded = predictor.forward_image(official_images(frames, model.size_px))
        _, levels, _, sizes = predictor._prepare_backbone_features(encoded)
        large = torch.nn.functional.interpolate(
            sight.logits[:, None], size=(model.size_px, model.size_px), mode="bilinear"
        )
        expected, _ = predictor._encode_new_memory(
            levels, sizes, large, sight.score[:, None], is_mask_from_pts=prompted
        )
    return found[0], expected[0].flatten(1).T


@pytest.mark.parametrize("prompted", [True, False])
def test_memories_are_the_official_ones(either: Pair, *, prompted: bool) -> None:
    with unrounded():
        found, expected = memories(either, prompted=prompted)
    assert found.dtype == torch.float32, "the other tests of sameness count on that"
    assert (found - expected).abs().max().item() <= 1e-4


def test_they_are_stored_in_bfloat16(embedded: Pair) -> None:
    found, expected = memories(embedded, prompted=True)
    assert found.dtype == torch.bfloat16
    differing = (found != expected.to(torch.bfloat16)).float().mean().item()
    assert differing <= 1e-2, "but where sums differ in their last bits"


def test_pointers_lie_where_the_official_ones_do(either: Pair) -> None:
    predictor = either.official.predictor
    distances = torch.tensor([0.0, 1 / 15, 1.0, 30 / 15, 100.0])
    with torch.inference_mode():
        found = either.model.memory.pointer_positions(distances[None])[0]
        expected = predictor.obj_ptr_tpos_proj(get_1d_sine_pe(distances, predictor.hidden_dim))
    assert (found - expected).abs().max().item() <= 1e-5
