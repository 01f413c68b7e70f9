"""Measures of windows of a masklet, at the size and place at which a consumer sees them.

Coverage, presence, size and cut-outs are those of the whole mask, which is the hole in the picture
and what is cut out. Motion and contact with the border are those of its largest fragment: specks
that come and go move the center of the whole mask's box, and reach the border, while the product
does not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import boxes
from pvtt_flow.core.fitness_rows import FitnessRows
from pvtt_flow.core.placement import Placement, place
from pvtt_flow.core.profile import FitnessLimits, Growth, Profile

Values: TypeAlias = NDArray[np.float64]
Windows: TypeAlias = NDArray[np.int64]
"""Positions of the frames of S windows with L frames each, int64 (S, L)."""
Measures: TypeAlias = Mapping[str, Values]
"""Values of S windows by the name of their limit in `FitnessLimits`, float64 (S,) each."""

# Limits that values must reach; the others are those that they must not exceed.
_LEAST = frozenset({"presence", "product_px", "cutouts"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedFrames:
    """Frames of a masklet as a consumer sees them, T of them; 0 where the product is absent."""

    pts_ns: NDArray[np.int64]
    limits: FitnessLimits
    is_present: NDArray[np.bool_]
    """True where a part of the product is inside of the picture."""
    box_xyxy: Values
    """Grown boxes as fractions of the picture, float64 (T, 4)."""
    coverage: Values
    """Areas of these boxes."""
    center_y: Values
    """Centers in y of the grown boxes of the largest fragments, as fractions of the picture."""
    is_cut: NDArray[np.bool_]
    """True where the largest fragment touches the border or goes beyond it."""
    product_px: Values
    """Square root of the product's area at output size."""
    num_cutouts: int

    def measure(self, windows: Windows, *, static_box: bool = False) -> Measures:
        """Measure windows, each with its boxes or with their union as its only box."""
        there = self.is_present[windows]
        count = there.sum(axis=1)
        return {
            "presence": count / max(1, windows.shape[1]),
            **(self._of_union(windows) if static_box else self._of_boxes(windows, there, count)),
            "border_contact": _mean(self.is_cut[windows], count),
            "product_px": _mean(self.product_px[windows], count),
            "cutouts": np.full(len(windows), float(self.num_cutouts)),
        }

    def _of_boxes(
        self, windows: Windows, there: NDArray[np.bool_], count: NDArray[np.int64]
    ) -> Measures:
        coverage, center_y = self.coverage[windows], self.center_y[windows]
        deviation = (center_y - _mean(center_y, count)[:, None]) * there
        return {
            "coverage_mean": _mean(coverage, count),
            "coverage_max": coverage.max(axis=1, initial=0.0),
            "center_y_spread": np.sqrt(_mean(deviation**2, count)),
        }

    def _of_union(self, windows: Windows) -> Measures:
        low_xy = np.where(self.is_present[:, None], self.box_xyxy[:, :2], 1)[windows]
        high_xy = self.box_xyxy[:, 2:][windows]
        union = [low_xy.min(axis=1, initial=1), high_xy.max(axis=1, initial=0)]
        covered = boxes.areas(np.concatenate(union, axis=1))
        spread = np.zeros(len(windows))
        return {"coverage_mean": covered, "coverage_max": covered, "center_y_spread": spread}


def place_frames(profile: Profile, rows: FitnessRows) -> PlacedFrames:
    """Place a masklet's boxes in the consumer's picture and grow them as the profile says."""
    placed = place(profile.size, rows.width_px, rows.height_px)
    size = np.array([placed.width_px, placed.height_px] * 2, np.float64)
    inside, largest = (
        np.clip(placed.boxes(box), 0, size)
        for box in (rows.box_xyxy, rows.largest_fragment_box_xyxy)
    )
    # Where the picture has but specks of the product, they are what it sees.
    largest = np.where(boxes.areas(largest)[:, None] > 0, largest, inside)
    is_present = rows.is_present & (boxes.areas(inside) > 0)
    product_px = np.sqrt(rows.area_px * placed.scale_x * placed.scale_y) * is_present
    is_large = product_px >= (profile.fitness.product_px or 0)
    is_whole = is_present & is_large & ~_is_cut(rows.box_xyxy, rows, placed)
    box_xyxy, largest_xyxy = (
        np.clip(_grown(box, profile.growth), 0, size) / size * is_present[:, None]
        for box in (inside, largest)
    )
    return PlacedFrames(
        pts_ns=rows.pts_ns,
        limits=profile.fitness,
        is_present=is_present,
        box_xyxy=box_xyxy,
        coverage=boxes.areas(box_xyxy),
        center_y=(largest_xyxy[:, 1] + largest_xyxy[:, 3]) / 2,
        is_cut=is_present & _is_cut(rows.largest_fragment_box_xyxy, rows, placed),
        product_px=product_px,
        num_cutouts=int(is_whole.sum()),
    )


def _is_cut(box_xyxy: Values, rows: FitnessRows, placed: Placement) -> NDArray[np.bool_]:
    """Return where boxes touch the border of the source or go beyond that of the output."""
    at_border = (box_xyxy[:, :2] <= 0) | (box_xyxy[:, 2:] >= [rows.width_px, rows.height_px])
    seen = placed.boxes(box_xyxy)
    beyond = (seen[:, :2] < 0) | (seen[:, 2:] > [placed.width_px, placed.height_px])
    return np.asarray((at_border | beyond).any(axis=1))


def excess(limits: FitnessLimits, measures: Measures) -> Values:
    """Return the largest value of each window as a multiple of its limit, float64 (S,).

    At most 1 if all limits are kept; infinite for a window without the product.
    """
    ratios = [np.where(measures["presence"] > 0, 0.0, np.inf)]
    for name, value in measures.items():
        limit = getattr(limits, name)
        if limit is not None:
            bound = np.full_like(value, limit)
            ratios.append(_ratio(bound, value) if name in _LEAST else _ratio(value, bound))
    # Sums in another order differ in their last bits, and a limit that is just kept is kept.
    return np.asarray(np.round(np.max(ratios, axis=0), 9))


def broken(limits: FitnessLimits, measures: Measures) -> Iterator[tuple[str, str]]:
    """Yield name and sentence of each limit that a single window breaks."""
    if not measures["presence"][0]:
        yield "never_visible", "the product must be in the picture, is on no frame"
        return
    for name, values in measures.items():
        limit = getattr(limits, name)
        if limit is not None and excess(_only(name, limit), measures)[0] > 1:
            rule, what, show = _RULES[name]
            bound = "at least" if name in _LEAST else "at most"
            yield rule, f"{what} must be {bound} {show(limit)}, is {show(float(values[0]))}"


def _only(name: str, limit: float) -> FitnessLimits:
    return FitnessLimits.model_validate({name: limit})


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _pixels(value: float) -> str:
    return f"{value:.3g} px"


def _count(value: float) -> str:
    return f"{value:.0f}"


_RULES: Mapping[str, tuple[str, str, Callable[[float], str]]] = {
    "presence": ("presence_low", "frames with the product", _percent),
    "coverage_mean": ("coverage_mean_high", "mean coverage by the box", _percent),
    "coverage_max": ("coverage_max_high", "largest coverage by the box", _percent),
    "center_y_spread": ("center_y_spread_high", "spread of the box's center in y", _percent),
    "border_contact": ("border_contact_high", "frames on which the border cuts it", _percent),
    "product_px": ("product_small", "size of the product", _pixels),
    "cutouts": ("cutouts_few", "frames for cut-outs", _count),
}
"""Name of the reason, what it measures, and how its value is shown, by the name of the limit."""


def _grown(box_xyxy: Values, growth: Growth) -> Values:
    grown = box_xyxy + np.array([-1, -1, 1, 1]) * growth.radius_px
    if growth.blocks_px is None:
        return np.asarray(grown)
    blocks = grown / growth.blocks_px
    edges = np.concatenate([np.floor(blocks[:, :2]), np.ceil(blocks[:, 2:])], axis=1)
    return np.asarray(edges * growth.blocks_px)


def _mean(values: Values | NDArray[np.bool_], count: NDArray[np.int64]) -> Values:
    return np.asarray(values.sum(axis=1) / np.maximum(count, 1))


def _ratio(value: Values, bound: Values) -> Values:
    """Return value / bound; infinite for a bound of 0, but 0 if both are 0."""
    unlimited = np.where(value > 0, np.inf, 0.0)
    return np.asarray(np.divide(value, bound, out=unlimited, where=bound > 0))
