"""SAM 2 as batched, stateless functions; callers map batch rows to shots and objects.

    images ─ encode_images ─► ImageFeatures ─┬─ predict_at_points, use_masks_as_output ─┐
                                             └─ track_step, with a MemoryContext ───────┤
                                   memories ◄─ encode_memory ◄─ MaskPrediction ◄────────┘

Weights and results are those of the official implementation (facebookresearch/sam2, PyPI `sam2`
1.1.0; sam2/modeling/sam2_base.py, `SAM2Base`), or of another architecture (`architectures/`).
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.architectures.architecture import Architecture
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.compile import BatchedFunction, Compiler
from pvtt_flow.models.sam2.mask_decoder import MaskDecoder
from pvtt_flow.models.sam2.memory_attention import MemoryAttention
from pvtt_flow.models.sam2.memory_encoder import MemoryEncoder, encode_grid_positions
from pvtt_flow.models.sam2.model_input import ModelInput
from pvtt_flow.models.sam2.packed_linear import pack_linears
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat
from pvtt_flow.models.sam2.tensors import (
    FrameTokens,
    ImageFeatures,
    MaskPrediction,
    MemoryContext,
    to_device,
)

# A mask prompt has 4 x 4 pixels for each one of a mask's 4h x 4w.
_MASK_STRIDE = 16
# Without a recent memory or pointer there would be nothing to track by.
_LEAST_SETTINGS = {"num_maskmem": 2, "max_obj_ptrs_in_encoder": 2}
# One conditioning frame before and one after a frame.
_LEAST_CONDITIONING = 2


# Dynamic dimensions of the arguments of `_compute_track_step` besides the batch: memory tokens,
# whose number depends on the number of conditioning frames.
_TRACK_STEP_DIMS = ((), (), (1,), (1,), (1,), (2,))


class Sam2:
    """SAM 2 with its weights on one device."""

    def __init__(
        self,
        predictor: Any,
        compiler: Compiler | None = None,
        *,
        architecture: Architecture = SAM2,
        keep_alternatives: bool = False,
    ) -> None:
        """Take over an official `SAM2VideoPredictor` of an architecture; it is modified.

        With a compiler, `warm_up` must follow. With `keep_alternatives`, `track_step` also returns
        the masks that it did not choose. Raises ConfigError for a config that differs from the
        official ones where that matters.
        """
        _check(predictor, architecture)
        if compiler is None:
            pack_linears(predictor.image_encoder)
            pack_linears(predictor.memory_encoder)
            pack_linears(predictor.sam_mask_decoder)
        self.device: torch.device = predictor.device
        self.size_px: int = predictor.image_size
        self.grid_side: int = self.size_px // predictor.backbone_stride
        masks = MaskFormat(
            self.grid_side * _MASK_STRIDE, keeps_soft_edges=architecture.keeps_soft_edges
        )
        self.input = ModelInput(self.size_px, masks)
        """Images of S, and mask prompts, whose side the decoder divides by 16 for the grid's."""
        self.hidden_dim: int = predictor.hidden_dim
        self.memory_dim: int = predictor.mem_dim
        self.num_memories: int = predictor.num_maskmem
        """`num_maskmem`, 7: temporal positions of 6 recent memories and of conditioning frames."""
        self.max_object_pointers: int = predictor.max_obj_ptrs_in_encoder
        self.max_conditioning: int | None = _limit(predictor.max_cond_frames_in_attn)
        """Largest number of conditioning frames that a frame reads, the closest; None without a
        limit."""
        self.compiler = compiler
        self.has_full_context = compiler is not None
        """True if a `MemoryContext` always has all entries and a bias, as CUDA graphs need it."""
        self.memory_encoder = MemoryEncoder(predictor, self.grid_side)
        self._no_memory_embedding: Tensor = predictor.no_mem_embed[0].detach()
        self._corrects_by_memory = architecture.corrects_by_memory
        self._sam_mask_decoder = predictor.sam_mask_decoder
        self._image_encoder = architecture.image_encoder(predictor.image_encoder, self.size_px)
        self._has_high_res_features: bool = predictor.use_high_res_features_in_sam
        position_encoding = predictor.image_encoder.neck.position_encoding
        self._memory_attention = MemoryAttention(
            predictor.memory_attention,
            encode_grid_positions(position_encoding, self.hidden_dim, self.grid_side, predictor),
            self.memory_encoder.memory_side,
            fused=compiler is not None,
        )
        self.kernels = self._memory_attention.kernels
        """Kernels for the attention to memories."""
        self.pools_memories = self._memory_attention.pools_memories
        """True if objects with several memories attend to pooled ones (EfficientTAM)."""
        self._mask_decoder = MaskDecoder(
            predictor, self.grid_side, keep_alternatives=keep_alternatives
        )
        self._mean = torch.tensor(architecture.mean, device=self.device)[:, None, None]
        self._std = torch.tensor(architecture.std, device=self.device)[:, None, None]
        self._encode_images = self._compute_image_features
        self._compiled_track_step: BatchedFunction | None = None
        self._encode_tracked_memory = self._compute_tracked_memory
        if compiler is not None:
            self._encode_images = compiler.compile(self._compute_image_features)
            self._compiled_track_step = compiler.compile(self._compute_track_step, _TRACK_STEP_DIMS)
            self._encode_tracked_memory = compiler.compile(self._compute_tracked_memory)

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Encode RGB images, uint8 (F, S, S, 3)."""
        vision_features, pixel_features, *high_res_features = self._encode_images(
            to_device(images, self.device)
        )
        return ImageFeatures(vision_features, tuple(high_res_features), pixel_features)

    def predict_at_points(
        self, features: ImageFeatures, points: Tensor, labels: Tensor
    ) -> MaskPrediction:
        """Predict objects on conditioning frames from points, without memory.

        Points are float32 (b, P, 2) in pixels of the model's image, with int32 labels (b, P) as in
        `PromptTensors` (sam2_base.py, `_prepare_memory_conditioned_features` for initial
        conditioning frames).
        """
        tokens = features.vision_features + self._no_memory_embedding
        return self._mask_decoder.decode_points(tokens, features.high_res_features, points, labels)

    def use_masks_as_output(
        self, features: ImageFeatures, masks: Tensor, small_masks: Tensor
    ) -> MaskPrediction:
        """Return mask prompts, (b, 1, 16h, 16w) and small (b, 1, 4h, 4w), as predictions.

        Both are as in `PromptTensors`.
        """
        return self._mask_decoder.use_masks_as_output(
            features.vision_features, features.high_res_features, masks, small_masks
        )

    def frame_tokens(self, features: ImageFeatures) -> FrameTokens:
        """Compute the part of `track_step` that the objects of a frame share."""
        return self._memory_attention.frame_tokens(features.vision_features)

    def track_step(
        self, frame_tokens: FrameTokens, features: ImageFeatures, context: MemoryContext
    ) -> tuple[MaskPrediction, Tensor]:
        """Track b objects to a frame each (sam2_base.py, `_track_step` without prompts).

        Takes the tokens and features of each object's own frame, b of each. Also returns the
        memory-conditioned tokens (b, T, C), which `apply_corrections` needs.
        """
        # One memory, on the first tracked frame of a shot, is not pooled, and not worth a graph.
        is_prepared = context.is_pooled == self.pools_memories
        if self._compiled_track_step is None or not is_prepared:
            tokens = self._memory_attention(frame_tokens, context)
            return self._mask_decoder.decode_tracked(tokens, features.high_res_features), tokens
        tokens, *prediction = self._compiled_track_step(
            frame_tokens.tokens,
            frame_tokens.queries,
            # Apart, since a number is a constant to the compiler, and a size is not.
            context.keys[:, : context.num_rotated],
            context.keys[:, context.num_rotated :],
            context.values,
            context.bias,
            *features.high_res_features,
        )
        return MaskPrediction(*prediction), tokens

    def apply_corrections(
        self,
        tokens: Tensor,
        features: ImageFeatures,
        previous_logits: Tensor,
        points: Tensor,
        labels: Tensor,
    ) -> MaskPrediction:
        """Refine tracked objects with points.

        `tokens` (b, T, C) and `previous_logits` (b, 4h, 4w) are those of `track_step`.
        """
        if not self._corrects_by_memory:
            tokens = features.vision_features + self._no_memory_embedding
        return self._mask_decoder.decode_points(
            tokens, features.high_res_features, points, labels, previous_logits
        )

    def encode_memory(
        self, pixel_features: Tensor, prediction: MaskPrediction, *, is_conditioning: bool
    ) -> Tensor:
        """Encode predictions on frames with these pixel features (b, C, h, w).

        Returns memories, bfloat16 (b, M, Cm).
        """
        masks = prediction.logits, prediction.object_score
        if is_conditioning:
            return self.memory_encoder(pixel_features, *masks, is_conditioning=True)
        return self._encode_tracked_memory(pixel_features, *masks)[0]

    def _compute_image_features(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        *finer_levels, coarsest = self._image_encoder((pixels - self._mean) / self._std)
        return (
            coarsest.flatten(2).transpose(1, 2),
            self.memory_encoder.project_pixels(coarsest),
            *self._high_res_features(finer_levels),
        )

    def _high_res_features(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if not self._has_high_res_features:
            return ()
        finest, finer = levels
        decoder = self._sam_mask_decoder
        return decoder.conv_s0(finest), decoder.conv_s1(finer)

    def _compute_track_step(
        self,
        tokens: Tensor,
        queries: Tensor,
        rotated_keys: Tensor,
        other_keys: Tensor,
        values: Tensor,
        bias: Tensor,
        *high_res_features: Tensor,
    ) -> tuple[Tensor, ...]:
        keys = torch.cat([rotated_keys, other_keys], 1)
        context = MemoryContext(
            keys, values, rotated_keys.shape[1], bias, is_pooled=self.pools_memories
        )
        tokens = self._memory_attention(FrameTokens(tokens, queries), context)
        prediction = self._mask_decoder.decode_tracked(tokens, high_res_features)
        alternatives = prediction.alternatives
        return (
            tokens,
            prediction.logits,
            prediction.object_score,
            prediction.predicted_iou,
            prediction.object_pointer,
            prediction.confidence,
            *(() if alternatives is None else (alternatives,)),
        )

    def _compute_tracked_memory(self, *args: Tensor) -> tuple[Tensor, ...]:
        return (self.memory_encoder(*args, is_conditioning=False),)


def _check(predictor: Any, architecture: Architecture) -> None:
    rule = f"$.tracker.config must be {architecture.title} with"
    for name, required in architecture.required.items():
        value = attrgetter(name)(predictor)
        if value != required:
            raise ConfigError(f"{rule} {name}={required}, as all official ones have, got {value}")
    for name, least in _LEAST_SETTINGS.items():
        value = getattr(predictor, name)
        if value < least:
            raise ConfigError(f"{rule} {name} of at least {least}, got {value}")
    most = predictor.max_cond_frames_in_attn
    if most != -1 and most < _LEAST_CONDITIONING:
        raise ConfigError(
            f"{rule} max_cond_frames_in_attn of -1 or at least {_LEAST_CONDITIONING}, got {most}"
        )


def _limit(max_frames: int) -> int | None:
    return None if max_frames == -1 else max_frames
