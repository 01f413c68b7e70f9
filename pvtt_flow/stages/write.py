"""Write stage: write the masklets of a shot to a file, and report it to the driver."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.stages._failures import with_failure
from pvtt_flow.types import Failure, Lineage, Masklet, ShotRecord, Source, Timings, Video, VideoFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotResult:
    """Result of one finished shot for the driver: a `ShotRecord` without its masks."""

    source: Source
    video: Video | None
    num_shots: int
    num_frames: int
    num_resumed_frames: int = 0
    verdicts: tuple[str, ...]
    """Verdict of each masklet."""
    files: tuple[MaskletFile, ...]
    """Files that are written but not committed yet."""
    flags: tuple[VideoFlag, ...]
    failure: Failure | None
    timings: Timings


class Write:
    """Writes one Parquet file for each shot; it is in no table until the driver commits it."""

    def __init__(self, dataset: Dataset, lineage: Lineage) -> None:
        self._dataset = dataset
        self._lineage = asdict(lineage)

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotResult]:
        """Return the result of each shot."""
        return [self._write(record) for record in records]

    def _write(self, record: ShotRecord) -> ShotResult:
        try:
            files = self._dataset.write_masklets(
                [self._with_lineage(m, record) for m in record.masklets]
            )
        except Exception as error:  # noqa: BLE001 (one shot's write must not stop the others)
            record, files = with_failure(record, "write", error), ()
        return ShotResult(
            source=record.source,
            video=record.video,
            num_shots=record.num_shots,
            num_frames=record.num_frames,
            num_resumed_frames=record.num_resumed_frames,
            verdicts=tuple(m.verdict or "review" for m in record.masklets),
            files=files,
            flags=record.flags,
            failure=record.failure,
            timings=record.timings,
        )

    def _with_lineage(self, masklet: Masklet, record: ShotRecord) -> Masklet:
        return replace(masklet, work_key=record.source.work_key, **self._lineage)
