"""Judged shots to files: write the masklets where the table lives, hand the driver a receipt."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.stages._failures import failed
from pvtt_flow.types import Failure, Lineage, Masklet, Source, Timings, Video, VideoFlag, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the driver learns of one finished shot: everything of `Work` but the masks."""

    source: Source
    video: Video | None
    num_shots: int
    num_frames: int
    verdicts: tuple[str, ...]
    """One a masklet."""
    files: tuple[MaskletFile, ...]
    """Written but not yet committed."""
    flags: tuple[VideoFlag, ...]
    failure: Failure | None
    timings: Timings


class Write:
    """One Parquet file a shot, outside the log until the driver commits it."""

    def __init__(self, dataset: Dataset, lineage: Lineage) -> None:
        self._dataset = dataset
        self._lineage = asdict(lineage)

    def __call__(self, works: Sequence[Work]) -> list[Receipt]:
        """A receipt for each shot."""
        return [self._write(work) for work in works]

    def _write(self, work: Work) -> Receipt:
        try:
            files = self._dataset.write_masklets([self._stamped(m, work) for m in work.masklets])
        except Exception as error:  # noqa: BLE001 (one shot's write must not stop the others)
            work, files = failed(work, "write", error), ()
        return Receipt(
            source=work.source,
            video=work.video,
            num_shots=work.num_shots,
            num_frames=work.num_frames,
            verdicts=tuple(m.verdict or "review" for m in work.masklets),
            files=files,
            flags=work.flags,
            failure=work.failure,
            timings=work.timings,
        )

    def _stamped(self, masklet: Masklet, work: Work) -> Masklet:
        return replace(masklet, work_key=work.source.work_key, **self._lineage)
