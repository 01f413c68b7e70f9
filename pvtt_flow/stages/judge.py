"""Judge stage: measure each masklet and give it a verdict; no I/O, no neural network."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from pvtt_flow.core.qc import QcThresholds, judge, measure
from pvtt_flow.stages._failures import guarded
from pvtt_flow.types import Masklet, ShotRecord


class Judge:
    """Gives every masklet its measurements, probabilities, verdict and reasons."""

    def __init__(self, thresholds: QcThresholds, tracker_hash: str) -> None:
        self._thresholds = thresholds
        self._tracker_hash = tracker_hash

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Return the shots with judged masklets."""
        return [judged for record in records for judged in guarded("judge", self._judge, record)]

    def _judge(self, record: ShotRecord) -> Sequence[ShotRecord]:
        return [replace(record, masklets=tuple(self._judge_masklet(m) for m in record.masklets))]

    def _judge_masklet(self, masklet: Masklet) -> Masklet:
        measurements = measure(
            masklet.frames,
            masklet.prompts,
            width_px=masklet.width_px,
            height_px=masklet.height_px,
        )
        judged = judge(measurements, self._thresholds, self._tracker_hash)
        return replace(masklet, qc=measurements, **asdict(judged))
