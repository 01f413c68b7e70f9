"""The parts of a SAM 2, each a function of a batch; whose frames and objects they are, nobody asks.

    images ─ encode ─► Features ─┬─ look    prompted frames         ─┬─► Sight ─ memorise ─► memory
                                 └─ follow  tracked frames and Past ─┘

The weights are the official model's, and so are the results (`sam2` 1.1.0).
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2.compile import Function, compiled
from pvtt_flow.models.sam2.image_encoder import Trunk
from pvtt_flow.models.sam2.mask_decoder import Heads
from pvtt_flow.models.sam2.memory_attention import MemoryAttention
from pvtt_flow.models.sam2.memory_encoder import MemoryEncoder, tokens_of
from pvtt_flow.models.sam2.packed_linear import pack_linears
from pvtt_flow.models.sam2.tensors import Features, Past, Sight, Start

# What every official SAM 2 and SAM 2.1 has, and the engine counts on.
_EXPECTED = {
    "use_high_res_features_in_sam": True,
    "use_obj_ptrs_in_encoder": True,
    "only_obj_ptrs_in_the_past_for_eval": True,
    "pred_obj_scores": True,
    "soft_no_obj_ptr": False,
    "directly_add_no_mem_embed": True,
    "use_mask_input_as_output_without_sam": True,
    "non_overlap_masks_for_mem_enc": False,
    "memory_temporal_stride_for_eval": 1,
    "max_cond_frames_in_attn": -1,
}


class Sam2:
    """One resident model."""

    def __init__(self, predictor: Any, *, compile_steps: bool = False) -> None:
        """`predictor`: an official `SAM2VideoPredictor` with its weights, which it takes over."""
        _check(predictor)
        pack_linears(predictor.image_encoder)
        pack_linears(predictor.memory_encoder)
        pack_linears(predictor.sam_mask_decoder)
        self.device: torch.device = predictor.device
        self.size_px: int = predictor.image_size
        self.grid: int = self.size_px // predictor.backbone_stride
        self.dim: int = predictor.hidden_dim
        self.memory_dim: int = predictor.mem_dim
        self.num_memories: int = predictor.num_maskmem
        self.max_pointers: int = predictor.max_obj_ptrs_in_encoder
        self.fixed_shapes = compile_steps
        """Whether the past must always have room for everything, because shapes are compiled."""
        self.memory = MemoryEncoder(predictor, self.grid)
        self._no_memory: Tensor = predictor.no_mem_embed[0].detach()
        self._decoder = predictor.sam_mask_decoder
        self._trunk = Trunk(predictor.image_encoder, self.size_px)
        position = predictor.image_encoder.neck.position_encoding
        self._attention = MemoryAttention(
            predictor.memory_attention, tokens_of(position, self.dim, self.grid, predictor)
        )
        self._heads = Heads(predictor, self.grid)
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self._mean = torch.tensor(mean, device=self.device)[:, None, None]
        self._std = torch.tensor(std, device=self.device)[:, None, None]
        part = partial(compiled, device=self.device) if compile_steps else _as_it_is
        self._encode = part(self._encode_images)
        self._follow = part(self._follow_objects)
        self._memorise = part(self._memorise_masks)

    def encode(self, images: Tensor) -> Features:
        """uint8 (F, S, S, 3) RGB to features."""
        top, finest, finer, base = self._encode(images.to(self.device, non_blocking=True))
        return Features(top=top, fine=(finest, finer), memory_base=base)

    def look(self, features: Features, points: Tensor, labels: Tensor) -> Sight:
        """Objects at points in pixels of the model's image (b, P, 2), with labels (b, P) of 0 not
        on it, 1 on it, 2 and 3 a box's corners; without any memory (sam2_base.py:653-657)."""
        return self._heads.at_points(features.top + self._no_memory, features.fine, points, labels)

    def look_at_masks(self, features: Features, masks: Tensor) -> Sight:
        """Objects whose masks float (b, 1, S, S) of 0 and 1 are given."""
        return self._heads.of_masks(features.top, features.fine, masks)

    def start(self, features: Features) -> Start:
        """The part of `follow` that the objects of a frame share."""
        return self._attention.start(features.top)

    def follow(self, start: Start, features: Features, past: Past) -> tuple[Sight, Tensor]:
        """Objects with a past, each on its own frame's start and features (b of each).

        Also gives the tokens (b, T, C) behind the sight, for `correct`.
        """
        *sight, tokens = self._follow(
            start.tokens,
            start.queries,
            past.keys,
            past.values,
            past.num_rotated,
            past.bias,
            *features.fine,
        )
        return Sight(*sight), tokens

    def correct(
        self, tokens: Tensor, features: Features, before: Tensor, points: Tensor, labels: Tensor
    ) -> Sight:
        """The sight of tracked objects again, with clicks on it; `before` are its logits."""
        return self._heads.at_points(tokens, features.fine, points, labels, before)

    def memorise(self, base: Tensor, seen: Sight, *, prompted: bool) -> Tensor:
        """Memories bfloat16 (b, T, Cm) of what was seen on frames of these `memory_base`."""
        return self._memorise(base, seen.logits, seen.score, prompted)[0]

    def _encode_images(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        finest, finer, top = self._trunk((pixels - self._mean) / self._std)
        return (
            top.flatten(2).transpose(1, 2),
            self._decoder.conv_s0(finest),
            self._decoder.conv_s1(finer),
            self.memory.base(top),
        )

    def _follow_objects(
        self,
        tokens: Tensor,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        num_rotated: int,
        bias: Tensor | None,
        *fine: Tensor,
    ) -> tuple[Tensor, ...]:
        past = Past(keys, values, num_rotated, bias)
        tokens = self._attention(Start(tokens, queries), past)
        seen = self._heads.unprompted(tokens, fine)
        return seen.logits, seen.score, seen.iou, seen.pointer, tokens

    def _memorise_masks(self, *args: Any) -> tuple[Tensor, ...]:
        return (self.memory(*args),)


def _as_it_is(function: Function) -> Function:
    return function


def _check(predictor: Any) -> None:
    for name, expected in _EXPECTED.items():
        found = getattr(predictor, name)
        if found != expected:
            raise ConfigError(
                f"$.tracker.config must be a SAM 2 with {name}={expected}, as all official ones "
                f"are, got {found}"
            )
