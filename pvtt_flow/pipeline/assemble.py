"""Assembly of videos from the results of their shots. Pure; runs on the driver."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.storage.uris import uri_without_signature
from pvtt_flow.types import Failure, Lineage, Status, Video, VideoRecord

# Facts of a video that its record repeats; None if the video could not be opened.
_VIDEO_COLUMNS = sorted(
    {field.name for field in fields(Video)} & {field.name for field in fields(VideoRecord)}
)


@dataclass(slots=True)
class VideoAssembler:
    """Collector of shot results, which holds those of each video until the last one arrives."""

    lineage: Lineage
    max_attempts: int
    _open: dict[str, list[ShotResult]] = field(default_factory=dict)

    def add(
        self, shot_result: ShotResult, *, finished_at_ns: int
    ) -> tuple[VideoRecord, tuple[MaskletFile, ...]] | None:
        """Return the video's record and files when all of its shots have arrived, else None."""
        shots = self._open.setdefault(shot_result.source.video_id, [])
        shots.append(shot_result)
        if len(shots) < shot_result.num_shots:
            return None
        del self._open[shot_result.source.video_id]
        failure = next((s.failure for s in shots if s.failure is not None), None)
        # A video is in the dataset with all of its shots or without masklets.
        files = () if failure is not None else tuple(f for s in shots for f in s.files)
        return self._record(shots, failure, finished_at_ns), files

    def _record(
        self, shots: Sequence[ShotResult], failure: Failure | None, finished_at_ns: int
    ) -> VideoRecord:
        source, video = shots[0].source, shots[0].video
        facts: dict[str, Any] = {name: getattr(video, name, None) for name in _VIDEO_COLUMNS}
        num_masklets = 0 if failure is not None else sum(len(s.verdicts) for s in shots)
        attempts = source.attempts + 1 if failure is not None else 0
        return VideoRecord(
            video_id=source.video_id,
            uri=uri_without_signature(source.uri),
            etag=source.etag,
            size_bytes=source.size_bytes,
            num_frames=sum(s.num_frames for s in shots),
            num_shots=len(shots),
            num_masklets=num_masklets,
            flags=tuple(sorted({flag for s in shots for flag in s.flags})),
            inspect_s=sum(s.timings.inspect_s for s in shots),
            detect_s=sum(s.timings.detect_s for s in shots),
            propagate_s=sum(s.timings.propagate_s for s in shots),
            status=self._status(failure, num_masklets, attempts),
            failure_stage=failure.stage if failure else None,
            failure_kind=failure.kind if failure else None,
            failure_message=failure.message if failure else None,
            failure_traceback=failure.traceback if failure else None,
            attempts=attempts,
            attributes=source.attributes,
            input_uri=source.input_uri,
            gone_at_ns=None,
            work_key=source.work_key,
            finished_at_ns=finished_at_ns,
            **asdict(self.lineage),
            **facts,
        )

    def _status(self, failure: Failure | None, num_masklets: int, attempts: int) -> Status:
        if failure is not None:
            return "quarantined" if attempts >= self.max_attempts else "failed"
        return "ok" if num_masklets else "empty"
