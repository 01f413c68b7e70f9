"""Files of a bundle that are made from the pictures of its video, which it sees one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.first_frame import filled, product_beside
from pvtt_flow.core.growth import grow
from pvtt_flow.core.placed_pixels import scaled_mask, scaled_picture
from pvtt_flow.export.cutout_pictures import Cutout, Cutouts
from pvtt_flow.export.formats.consumer.containers import AddPicture, open_pictures
from pvtt_flow.export.formats.consumer.take import Take

Picture = NDArray[np.uint8]

# Edges of the product are soft: what is near them is not background.
_EDGE = 1 / 96


class Scene(NamedTuple):
    """First picture with the product filled in."""

    picture: Picture
    """uint8 (H, W, 3), at output scale and without bars."""
    filled_fraction: float
    """Part of the picture that was filled."""


class PicturesSeen:
    """Pictures of a take; `see` all `wanted` positions in order, then ask for the others."""

    def __init__(self, take: Take, add: AddPicture | None) -> None:
        files = take.profile.files
        self._take = take
        self._add = add
        self._window = frozenset(take.positions)
        has_cutouts = files.cutout or files.second_cutout or files.cutout_mask or files.background
        self._cutouts = Cutouts(take.sequence, take.masklet) if has_cutouts else None
        self._first_placed: Picture | None = None
        self._first_rgb: Picture | None = None

    @classmethod
    @contextmanager
    def opened(cls, take: Take, home: Path) -> Iterator[Self]:
        """Open the video of the bundle in the folder `home`, if its profile has one."""
        rule = take.profile.files.video
        if rule is None:
            yield cls(take, None)
            return
        width_px, height_px = take.size
        shape = (len(take.positions), height_px, width_px, 3)
        with open_pictures(home / rule.name, rule, shape, take.fps) as add:
            yield cls(take, add)

    @property
    def wanted(self) -> frozenset[int]:
        """Positions of the pictures to see."""
        return self._window | self._cutouts.wanted if self._cutouts else self._window

    def see(self, position: int, rgb: Picture) -> None:
        """Add a picture to the video if it is in the window, and cut the product out of it."""
        if self._cutouts:
            self._cutouts.see(position, rgb)
        if position not in self._window:
            return
        placed = self._take.picture(rgb, position)
        if self._first_placed is None:
            # A copy: the decoder writes its next pictures into the same memory.
            self._first_placed, self._first_rgb = placed, rgb.copy()
        if self._add:
            self._add(placed)

    @property
    def best(self) -> Cutout | None:
        """Best cut-out; None if the product is on no frame or the profile has none."""
        return self._cutouts.best if self._cutouts else None

    @property
    def distant(self) -> Cutout | None:
        """Cut-out that is far from the best one in time."""
        return self._cutouts.distant if self._cutouts else None

    @property
    def first_without_bars(self) -> Picture | None:
        """First picture at output scale, uint8 (H, W, 3)."""
        if self._first_rgb is None:
            return None
        return scaled_picture(self._first_rgb, self._take.placement)

    def scene(self) -> Scene | None:
        """Fill the product in the first picture, if the profile has a background."""
        raw = self.first_without_bars
        if raw is None or not self._take.profile.files.background:
            return None
        mask = self._take.sequence.mask(self._take.masklet, self._take.positions[0])
        hole = scaled_mask(mask, self._take.placement, self._take.profile.mask.resize)
        hole = grow(hole, "ellipse", max(1, round(_EDGE * min(self._take.size))))
        return Scene(filled(raw, hole), float(hole.mean()))

    def first_frame(self, scene: Scene | None) -> Picture | None:
        """Return the first frame as the consumer sees it, uint8 (H, W, 3)."""
        if not self._take.profile.files.background:
            return self._first_placed
        if scene is None or self.best is None:
            return None
        return product_beside(self.best.rgba, scene.picture, self._take.size)
