"""Cut-outs: pictures of an object alone, taken from its best frames while they are decoded."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core import box_track, cutouts
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet
from pvtt_flow.video.color.sharpness import sharpness

_NUM_CANDIDATES = 6
_MARGIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cutout:
    """Object on one frame."""

    position: int
    box_xyxy: tuple[int, ...]
    """Box of the cut-out in the frame, display pixels."""
    rgba: NDArray[np.uint8]
    """uint8 (H, W, 4); alpha is 255 on the object and 0 elsewhere."""
    sharpness: float

    @property
    def facts(self) -> dict[str, object]:
        """Origin, for JSON."""
        return {"position": self.position, "box_xyxy": self.box_xyxy}

    def on_gray(self, gray: int) -> NDArray[np.uint8]:
        """Return the object on a gray background, uint8 (H, W, 3)."""
        return np.where(self.rgba[..., 3:] > 0, self.rgba[..., :3], np.uint8(gray))


class Cutouts:
    """Cut-outs of a masklet; `see` all `wanted` frames, then ask for `best` and `distant`."""

    def __init__(self, sequence: Sequence, masklet: Masklet) -> None:
        self._sequence = sequence
        self._masklet = masklet
        self._seen: dict[int, Cutout] = {}

    @cached_property
    def _candidates(self) -> list[int]:
        return cutouts.candidates(self._masklet.frames, _NUM_CANDIDATES)

    @cached_property
    def wanted(self) -> frozenset[int]:
        """Positions of the frames from which the object may be cut out."""
        far = [cutouts.distant_from(self._masklet.frames, best) for best in self._candidates]
        return frozenset([*self._candidates, *(p for p in far if p is not None)])

    def see(self, position: int, rgb: NDArray[np.uint8]) -> None:
        """Cut the object out of a frame if it is wanted."""
        if position in self.wanted:
            self._seen[position] = self._cut(position, rgb)

    @property
    def best(self) -> Cutout | None:
        """Sharpest of the candidates; None if the object is on no frame."""
        found = [self._seen[position] for position in self._candidates]
        return max(found, key=lambda cutout: cutout.sharpness, default=None)

    @property
    def distant(self) -> Cutout | None:
        """Cut-out that is far from the best one in time, if there is one."""
        best = self.best
        if best is None:
            return None
        position = cutouts.distant_from(self._masklet.frames, best.position)
        return None if position is None else self._seen[position]

    def _cut(self, position: int, rgb: NDArray[np.uint8]) -> Cutout:
        height_px, width_px = self._sequence.size
        tight = self._masklet.frames[position].box_xyxy
        loose = box_track.loosened(box_track.track_of([tight]), _MARGIN, width_px, height_px)[0]
        x0, y0 = np.floor(loose[:2]).astype(int).tolist()
        x1, y1 = np.ceil(loose[2:]).astype(int).tolist()
        alpha = self._sequence.mask(self._masklet, position)[y0:y1, x0:x1].astype(np.uint8) * 255
        left, top, right, bottom = tight or (0, 0, 1, 1)
        return Cutout(
            position=position,
            box_xyxy=(x0, y0, x1, y1),
            rgba=np.dstack([rgb[y0:y1, x0:x1], alpha]),
            sharpness=sharpness(np.ascontiguousarray(rgb[top:bottom, left:right])),
        )
