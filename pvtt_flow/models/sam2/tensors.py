"""Batched tensors that the parts of SAM 2 pass to each other.

Shapes here and in the whole folder: F frames, b objects, S side of the model's square image in
pixels, h = w = S / 16 side of the feature grid, T = h * w tokens, C hidden channels, Cm memory
channels, M tokens of a memory (T in SAM 2), of which the first R lie on a grid, L tokens that are
attended to. Masks are logits on a grid of 4h x 4w; above 0 is the object. Tensors are
float32 (bfloat16 where autocast makes them so) unless a dtype is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """Image encoder output for F frames."""

    vision_features: Tensor
    """(F, T, C): the coarsest level, before memory attention."""
    high_res_features: tuple[Tensor, ...]
    """(F, C/8, 4h, 4w) and (F, C/4, 2h, 2w), skip connections of the mask decoder; empty where the
    architecture has none."""
    pixel_features: Tensor
    """(F, C, h, w): the coarsest level after the memory encoder's `pix_feat_proj`."""

    def select(self, frames: Sequence[int]) -> "ImageFeatures":
        """Return the features of the given frames, repeated where several objects share a frame."""
        if _selects_all(frames, self.vision_features):
            return self
        index = _index_tensor(frames, self.vision_features)
        return ImageFeatures(
            vision_features=self.vision_features[index],
            high_res_features=tuple(level[index] for level in self.high_res_features),
            pixel_features=self.pixel_features[index],
        )


@dataclass(frozen=True, slots=True)
class FrameTokens:
    """Part of memory attention that does not depend on memory, for F frames."""

    tokens: Tensor
    """(F, T, C): tokens after the first layer's self-attention."""
    queries: Tensor
    """(F, T, C): rotated queries of the first layer's cross-attention."""

    def select(self, frames: Sequence[int]) -> "FrameTokens":
        """Return the tokens of the given frames, repeated where several objects share a frame."""
        if _selects_all(frames, self.tokens):
            return self
        index = _index_tensor(frames, self.tokens)
        return FrameTokens(tokens=self.tokens[index], queries=self.queries[index])


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """Features and tokens of F frames, which tracking reads."""

    features: ImageFeatures
    tokens: FrameTokens

    def row(self, frame: int) -> "EncodedFrames":
        """Return a view of one frame, with F = 1."""
        return self._of([tensor[frame : frame + 1] for tensor in self._tensors])

    @classmethod
    def joined(cls, parts: "Sequence[EncodedFrames]") -> "EncodedFrames":
        """Return the frames of all parts in order; one part is not copied."""
        if len(parts) == 1:
            return parts[0]
        return cls._of([torch.cat(same) for same in zip(*(p._tensors for p in parts), strict=True)])

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        features, tokens = self.features, self.tokens
        return (
            *(features.vision_features, features.pixel_features, *features.high_res_features),
            *(tokens.tokens, tokens.queries),
        )

    @classmethod
    def _of(cls, tensors: Sequence[Tensor]) -> "EncodedFrames":
        vision, pixels, *high_res, tokens, queries = tensors
        return cls(ImageFeatures(vision, tuple(high_res), pixels), FrameTokens(tokens, queries))


@dataclass(frozen=True, slots=True)
class MemoryContext:
    """Memories and object pointers of b objects, ready for cross-attention.

    `MemoryBank.read` makes it.
    """

    keys: Tensor
    """(b, L, Cm): memory and pointer tokens plus their position encodings."""
    values: Tensor
    """(b, L, Cm): memory and pointer tokens."""
    num_rotated: int
    """Number of leading tokens that lie on a grid and get rotary encoding, R of each memory; the
    rest are M - R of each memory and the object pointers (`num_k_exclude_rope` counts those)."""
    bias: Tensor | None
    """float32 (b, 1, L): 0, or -inf where an object has no such token; None where no token is
    missing."""
    is_pooled: bool = False
    """True if the leading tokens are pooled before they are attended to."""


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """Mask decoder output for b objects, each on one frame."""

    logits: Tensor
    """float32 (b, 4h, 4w); above 0 is the object."""
    object_score: Tensor
    """float32 (b,): object score logit; above 0 means present."""
    predicted_iou: Tensor
    """float32 (b,): the model's estimate for the mask; NaN where a mask prompt is the output."""
    object_pointer: Tensor
    """(b, C)."""
    confidence: Tensor
    """float32 (b, 4), as `mask_confidence` has it; NaN where a mask prompt is the output."""
    alternatives: Tensor | None = None
    """bool (b, n, 4h, 4w): the masks of the other candidates of tracked objects; None where the
    model does not keep them."""

    def select(self, objects: Sequence[int]) -> "MaskPrediction":
        """Return the predictions of the given objects."""
        if _selects_all(objects, self.object_score):
            return self
        index = _index_tensor(objects, self.object_score)
        return MaskPrediction(
            self.logits[index],
            self.object_score[index],
            self.predicted_iou[index],
            self.object_pointer[index],
            self.confidence[index],
            None if self.alternatives is None else self.alternatives[index],
        )

    def row(self, i: int) -> "MaskPrediction":
        """Return a view of object `i`, with b = 1 and without alternatives."""
        row = slice(i, i + 1)
        return MaskPrediction(
            self.logits[row],
            self.object_score[row],
            self.predicted_iou[row],
            self.object_pointer[row],
            self.confidence[row],
        )

    def to(self, device: torch.device) -> "MaskPrediction":
        """Return the predictions on a device, without alternatives."""
        return MaskPrediction(
            self.logits.to(device),
            self.object_score.to(device),
            self.predicted_iou.to(device),
            self.object_pointer.to(device),
            self.confidence.to(device),
        )

    def with_logits(self, logits: Tensor) -> "MaskPrediction":
        """Return the prediction with its masks replaced and without alternatives."""
        return replace(self, logits=logits, alternatives=None)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to the device, unless it is there.

    From page-locked memory, so that the host does not wait for what the device has queued.
    """
    if device.type == "cuda" and not tensor.is_cuda:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _selects_all(items: Sequence[int], tensor: Tensor) -> bool:
    """Return whether `items` are all rows in order, so that no copy is needed."""
    return list(items) == list(range(len(tensor)))


def _index_tensor(items: Sequence[int], tensor: Tensor) -> Tensor:
    return to_device(torch.tensor(items), tensor.device)
