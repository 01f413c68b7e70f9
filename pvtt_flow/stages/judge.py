"""Masklets to judged masklets: measure, then compare with the thresholds. No I/O, no model."""

from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core.qc import QcThresholds, judge, measure
from pvtt_flow.stages._failures import guarded
from pvtt_flow.types import Masklet, Work


class Judge:
    """Gives every masklet its measurements, verdict and reasons."""

    def __init__(self, thresholds: QcThresholds) -> None:
        self._thresholds = thresholds

    def __call__(self, works: Sequence[Work]) -> list[Work]:
        """The same shots with judged masklets."""
        return [done for work in works for done in guarded("judge", self._judge, work)]

    def _judge(self, work: Work) -> Sequence[Work]:
        return [replace(work, masklets=tuple(self.judged(m) for m in work.masklets))]

    def judged(self, masklet: Masklet) -> Masklet:
        """The masklet with QC from its own frames."""
        measurements = measure(
            masklet.frames,
            masklet.prompts,
            width_px=masklet.width_px,
            height_px=masklet.height_px,
        )
        verdict, reasons = judge(measurements, self._thresholds)
        return replace(masklet, qc=measurements, verdict=verdict, reasons=reasons)
