"""Counts of frames by what became of the object on them, in the words of the VOTS challenges."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

# With fewer frames without the object, a share of them says nothing (vot-toolkit).
_MIN_ABSENT = 10


@dataclass(frozen=True)
class Counts:
    """Frames of each kind (Kristan et al., The first visual object tracking segmentation VOTS2023
    challenge results, ICCVW 2023)."""

    tracked: int
    """The object is there, and the mask overlaps it."""
    failed: int
    """The object is there, and the mask is elsewhere."""
    missed: int
    """The object is there, and there is no mask."""
    hallucinated: int
    """The object is not there, and there is a mask."""
    noticed_absence: int
    """The object is not there, and there is no mask."""

    @property
    def robustness(self) -> float:
        """Return the share tracked of the frames with the object; NaN without any."""
        return self._of_present(self.tracked)

    @property
    def not_reported(self) -> float:
        """Return the share missed of the frames with the object; NaN without any."""
        return self._of_present(self.missed)

    @property
    def drift(self) -> float:
        """Return the share failed of the frames with the object; NaN without any."""
        return self._of_present(self.failed)

    @property
    def absence_detection(self) -> float:
        """Return the share noticed of the frames without the object; NaN of ten and fewer."""
        absent = self.hallucinated + self.noticed_absence
        return self.noticed_absence / absent if absent > _MIN_ABSENT else float("nan")

    def _of_present(self, number: int) -> float:
        present = self.tracked + self.failed + self.missed
        return number / present if present else float("nan")


def count_frames(
    is_present: NDArray[np.bool_], is_shown: NDArray[np.bool_], overlaps: NDArray[np.bool_]
) -> Counts:
    """Count frames by three values of each, bool (T,): object there, a mask, their overlap."""
    return Counts(
        tracked=int((is_present & overlaps).sum()),
        failed=int((is_present & is_shown & ~overlaps).sum()),
        missed=int((is_present & ~is_shown).sum()),
        hallucinated=int((~is_present & is_shown).sum()),
        noticed_absence=int((~is_present & ~is_shown).sum()),
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Add up the counts of several objects."""
    each = list(counts)
    return Counts(**{f.name: sum(getattr(c, f.name) for c in each) for f in fields(Counts)})
