"""Take: the frames of a masklet that a consumer gets, and what is where on them."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.fitness import Fitness, judge_fitness
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.growth import grow
from pvtt_flow.core.mask_shape import shape_of
from pvtt_flow.core.placed_pixels import placed_mask, placed_picture
from pvtt_flow.core.placement import Placement, place
from pvtt_flow.core.profile import Profile
from pvtt_flow.core.retiming import windows_at
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """Window of a masklet at the consumer's rate, size and place."""

    profile: Profile
    sequence: Sequence
    masklet: Masklet
    fitness: Fitness
    positions: tuple[int, ...]
    """Positions in the sequence, one for each output frame; none occurs twice."""
    placement: Placement

    @property
    def name(self) -> str:
        """Name of the bundle's folder."""
        return f"{self.sequence.name}_o{self.masklet.object_id:03d}"

    @property
    def fps(self) -> Fraction:
        """Rate of the files: the profile's, or the source's own."""
        if self.profile.fps is None:
            return self.sequence.fps
        return Fraction(self.profile.fps).limit_denominator(1001)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the output in pixels."""
        return self.placement.width_px, self.placement.height_px

    def picture(self, rgb: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
        """Return a picture as the consumer gets it, uint8 (H, W, 3), gray in the hole if so."""
        placed = placed_picture(rgb, self.placement)
        if self.profile.hole_gray is not None:
            placed[self.hole(position)] = self.profile.hole_gray
        return placed

    def product(self, position: int) -> Mask:
        """Return where the product is, bool (H, W); all False where it is absent."""
        return self._placed(self.sequence.mask(self.masklet, position))

    def hole(self, position: int) -> Mask:
        """Return the grown mask, bool (H, W): the product, or the static box of the remedy."""
        growth = self.profile.growth
        mask = self.product(position)
        if self.fitness.static_box_xyxy is not None:
            left, top, right, bottom = self.fitness.static_box_xyxy
            box = np.zeros(self.sequence.size, np.bool_)
            box[top:bottom, left:right] = True
            mask = self._placed(box)
        if growth.shape is None and growth.blocks_px is None:
            return mask
        return grow(mask, growth.shape or "square", growth.radius_px, growth.blocks_px)

    def levels(self, position: int) -> NDArray[np.uint8]:
        """Return the mask in the consumer's gray levels, uint8 (H, W)."""
        rule = self.profile.mask
        return np.where(self.hole(position), np.uint8(rule.hole), np.uint8(rule.keep))

    def boxes(self, position: int) -> dict[str, tuple[int, ...] | None]:
        """Return the boxes of the product, its largest fragment and the hole in output pixels."""
        product = self.product(position)
        return {
            "tight": rle.box_of(product),
            "largest_fragment": shape_of(rle.encode(product), len(product)).largest_box_xyxy,
            "grown": rle.box_of(self.hole(position)),
        }

    def _placed(self, mask: Mask) -> Mask:
        return placed_mask(mask, self.placement, self.profile.mask.resize)


def take_or_reason(profile: Profile, sequence: Sequence, masklet: Masklet) -> Take | str:
    """Return the frames for a consumer, or why the masklet cannot be fit, in a sentence."""
    height_px, width_px = sequence.size
    rows = FitnessRows.of(masklet.frames, width_px=width_px, height_px=height_px)
    fitness = judge_fitness(profile, rows)
    if fitness.window is None or fitness.window_frames is None:
        return "; ".join(reason.text for reason in fitness.reasons)
    start = np.searchsorted(rows.frame_index, fitness.window[:1])
    (window,) = windows_at(rows.pts_ns, fitness.fps, fitness.window_frames, start)
    return Take(
        profile=profile,
        sequence=sequence,
        masklet=masklet,
        fitness=fitness,
        positions=tuple(window.tolist()),
        placement=place(profile.size, width_px, height_px),
    )
