"""Commit finished videos every few seconds."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pvtt_flow.config.schema import RunParams
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.compact import INCREMENTAL, compact
from pvtt_flow.dataset.tables import MaskletFile
from pvtt_flow.dataset.unfinished import UnfinishedShots, video_folder
from pvtt_flow.errors import ClusterError, StoreError
from pvtt_flow.pipeline.assemble import VideoAssembler
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.stages.write import ShotResult
from pvtt_flow.types import Lineage, VideoRecord

_LOG = logging.getLogger("pvtt_flow")


class VideoWatcher(Protocol):
    """Observer of finished videos."""

    def finished(self, record: VideoRecord, summary: Summary) -> None:
        """Handle a finished video."""
        ...


@dataclass(slots=True)
class _Finished:
    """Finished video that is not committed yet."""

    record: VideoRecord
    files: tuple[MaskletFile, ...]
    expected_run_id: str | None


@dataclass(slots=True)
class Committer:
    """Collector of shot results, which commits the videos that they complete.

    A failure that a sick machine may have caused waits for the end of the run: until then it may
    turn out that the machine was to blame.
    """

    dataset: Dataset
    params: RunParams
    lineage: Lineage
    summary: Summary
    watcher: VideoWatcher
    done: set[str] = field(default_factory=set)
    """Ids of the finished videos."""
    _assembler: VideoAssembler = field(init=False)
    _finished: list[_Finished] = field(default_factory=list)
    _doubtful: dict[str, list[_Finished]] = field(default_factory=dict)
    """Videos with an unexpected failure, by Ray node."""
    _failed_on: dict[str, str] = field(default_factory=dict)
    """Ray node of an unexpected failure, by video id."""
    _num_commits: int = 0
    _committed_at_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.forget_unfinished()

    def forget_unfinished(self) -> None:
        """Drop the shots of unfinished videos, which are processed again."""
        self._assembler = VideoAssembler(self.lineage, self.params.max_attempts)
        self._failed_on = {}

    def forget_failures_on(self, node_id: str) -> None:
        """Drop the unexpected failures of a machine; their videos are processed again."""
        for video in self._doubtful.pop(node_id, ()):
            self.done.discard(video.record.video_id)

    def add(self, shot_result: ShotResult) -> None:
        """Collect a shot. Raises StoreError or ClusterError if no video is to blame for it."""
        failure = shot_result.failure
        if failure is not None and failure.kind == "store":
            raise StoreError(failure.message)
        if failure is not None and failure.kind == "machine":
            raise ClusterError(failure.message)
        self.summary.add_shot(shot_result)
        source = shot_result.source
        if shot_result.num_resumed_frames:
            _LOG.info(
                "%s: a shot went on at frame %d of %d, with what an interrupted run had saved",
                source.video_id,
                shot_result.num_resumed_frames,
                shot_result.num_frames,
            )
        if failure is not None and failure.node_id is not None:
            self._failed_on[source.video_id] = failure.node_id
        assembled = self._assembler.add(shot_result, finished_at_ns=time.time_ns())
        if assembled is None:
            return
        self.done.add(source.video_id)
        video = _Finished(*assembled, source.expected_run_id)
        if node_id := self._failed_on.pop(source.video_id, None):
            self._doubtful.setdefault(node_id, []).append(video)
        else:
            self._finish(video)

    def commit_if_due(self) -> None:
        """Commit if the last commit was `run.commit_interval_s` ago."""
        if time.monotonic() - self._committed_at_s >= self.params.commit_interval_s:
            self.commit()

    def commit(self) -> None:
        """Commit what is finished and beyond doubt."""
        if self._finished:
            result = self.dataset.commit(
                [file for video in self._finished for file in video.files],
                [video.record for video in self._finished],
                run_id=self.lineage.run_id,
                expected_run_ids={
                    video.record.video_id: video.expected_run_id for video in self._finished
                },
            )
            self.summary.version = result.version
            self.summary.num_committed += len(self._finished)
            self._warn_superseded(result.superseded)
            self._remove_saved_states([video.record for video in self._finished])
            self._num_commits += 1
            if self._num_commits % INCREMENTAL.fanout == 0:
                self.compact()
        self._finished = []
        self._committed_at_s = time.monotonic()

    def _remove_saved_states(self, records: Sequence[VideoRecord]) -> None:
        if self.params.checkpoint_every_s:
            videos = {video_folder(record.video_id, record.work_key) for record in records}
            UnfinishedShots(self.dataset.uri).remove(videos)

    def commit_all(self) -> None:
        """Commit what is finished, failures of machines that were not left out included."""
        for video in [video for videos in self._doubtful.values() for video in videos]:
            self._finish(video)
        self._doubtful = {}
        self.commit()

    def compact(self) -> None:
        """Merge small files, so that their number does not grow with the number of commits."""
        run_id = self.lineage.run_id
        self.summary.version = compact(self.dataset.uri, INCREMENTAL, {"run_id": run_id})

    def _finish(self, video: _Finished) -> None:
        self._finished.append(video)
        self.summary.add_video(video.record)
        self.watcher.finished(video.record, self.summary)

    def _warn_superseded(self, superseded: Collection[str]) -> None:
        if superseded:
            self.summary.num_superseded += len(superseded)
            _LOG.warning(
                "another run writes to %s: it finished %d of these videos first, and its results "
                "stay (%s)",
                self.dataset.uri,
                len(superseded),
                ", ".join(sorted(superseded)[:3]),
            )
