"""Receipts of shots to seals of videos. Pure; the driver's side of the flow."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Failure, Lineage, Status, VideoRecord


@dataclass(slots=True)
class Sealer:
    """Holds the shots of each video until the last one has arrived."""

    lineage: Lineage
    max_attempts: int
    _open: dict[str, list[ShotResult]] = field(default_factory=dict)

    def add(
        self, shot_result: ShotResult, *, finished_at_ns: int
    ) -> tuple[VideoRecord, tuple[MaskletFile, ...]] | None:
        """The video's seal and files once all its shots are here, else None."""
        shots = self._open.setdefault(shot_result.source.video_id, [])
        shots.append(shot_result)
        if len(shots) < shot_result.num_shots:
            return None
        del self._open[shot_result.source.video_id]
        failure = next((s.failure for s in shots if s.failure is not None), None)
        # A video is in the dataset with all of its shots or with none.
        files = () if failure is not None else tuple(f for s in shots for f in s.files)
        return self._seal(shots, failure, finished_at_ns), files

    def _seal(
        self, shots: Sequence[ShotResult], failure: Failure | None, finished_at_ns: int
    ) -> VideoRecord:
        source, video = shots[0].source, shots[0].video
        num_masklets = 0 if failure is not None else sum(len(s.verdicts) for s in shots)
        attempts = source.attempts + 1 if failure is not None else 0
        return VideoRecord(
            video_id=source.video_id,
            uri=source.uri,
            etag=source.etag,
            size_bytes=source.size_bytes,
            container=video.container if video else None,
            codec=video.codec if video else None,
            pixel_format=video.pixel_format if video else None,
            width_px=video.width_px if video else None,
            height_px=video.height_px if video else None,
            coded_width_px=video.coded_width_px if video else None,
            coded_height_px=video.coded_height_px if video else None,
            sample_aspect_num=video.sample_aspect_num if video else None,
            sample_aspect_den=video.sample_aspect_den if video else None,
            mirrored=video.mirrored if video else None,
            rotation_deg=video.rotation_deg if video else None,
            fps_num=video.fps_num if video else None,
            fps_den=video.fps_den if video else None,
            duration_ns=video.duration_ns if video else None,
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
            input_uri=source.input_uri,
            gone_at_ns=None,
            work_key=source.work_key,
            finished_at_ns=finished_at_ns,
            **asdict(self.lineage),
        )

    def _status(self, failure: Failure | None, num_masklets: int, attempts: int) -> Status:
        if failure is not None:
            return "quarantined" if attempts >= self.max_attempts else "failed"
        return "ok" if num_masklets else "empty"
