"""Memories and pointer positions, against the official ones."""

import pytest
import torch
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from pvtt_flow.models.sam2.frame_image import stack_images
from pvtt_flow.models.sam2.model_input import resize_to_square
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.official import official_images
from tests.models.sam2.pair import Pair
from tests.models.sam2.shots import shot

BOX = ((20.0, 40.0), (60.0, 90.0))
LABELS = (2, 3)


def encode(pair: Pair, *, is_conditioning: bool) -> tuple[Tensor, Tensor]:
    """Encode a memory (T, Cm) of the same logits with both models."""
    frames, model, predictor = shot(1).frames, pair.model, pair.official.predictor
    with torch.inference_mode():
        features = model.encode_images(
            stack_images([resize_to_square(frames[0].rgb, model.size_px)], model.device)
        )
        points, labels = torch.tensor([BOX]), torch.tensor([LABELS], dtype=torch.int32)
        prediction = model.predict_at_points(features, points, labels)
        memories = model.encode_memory(
            features.pixel_features, prediction, is_conditioning=is_conditioning
        )
        encoded = predictor.forward_image(official_images(frames, model.size_px))
        _, levels, _, sizes = predictor._prepare_backbone_features(encoded)
        large = torch.nn.functional.interpolate(
            prediction.logits[:, None], size=(model.size_px, model.size_px), mode="bilinear"
        )
        expected, _ = predictor._encode_new_memory(
            levels, sizes, large, prediction.object_score[:, None], is_mask_from_pts=is_conditioning
        )
    return memories[0], expected[0].flatten(1).T


@pytest.mark.parametrize("is_conditioning", [True, False])
def test_memories_equal_the_official_ones(each_model: Pair, *, is_conditioning: bool) -> None:
    with float32_memories():
        memory, expected = encode(each_model, is_conditioning=is_conditioning)
    assert memory.dtype == torch.float32, "other comparisons rely on that"
    assert (memory - expected).abs().max().item() <= 1e-4


def test_memories_are_stored_in_bfloat16(embedded: Pair) -> None:
    memory, expected = encode(embedded, is_conditioning=True)
    assert memory.dtype == torch.bfloat16
    differing = (memory != expected.to(torch.bfloat16)).float().mean().item()
    assert differing <= 1e-2, "only where sums differ in their last bits"


def test_pointer_positions_equal_the_official_ones(each_model: Pair) -> None:
    predictor = each_model.official.predictor
    distances = torch.tensor([0.0, 1 / 15, 1.0, 30 / 15, 100.0])
    with torch.inference_mode():
        encoding = each_model.model.memory_encoder.encode_pointer_positions(distances[None])[0]
        expected = predictor.obj_ptr_tpos_proj(get_1d_sine_pe(distances, predictor.hidden_dim))
    assert (encoding - expected).abs().max().item() <= 1e-5
