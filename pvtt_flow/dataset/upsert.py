"""Upsert of finished videos: their rows replace all rows that the videos had."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction

from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.dataset.columns import check_columns
from pvtt_flow.dataset.file_actions import FileActions, delete_videos, rows_of
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import (
    MASKLETS,
    VIDEOS,
    MaskletFile,
    add_action,
    read_file,
    write_file,
)
from pvtt_flow.dataset.transactions import Transaction
from pvtt_flow.types import VideoRecord

_COLUMNS = ("video_id", "run_id", "status", "num_masklets")


class VideoUpsert:
    """Rows of finished videos and their masklets, to replace the rows that these videos have.

    `expected_run_ids` gives the run whose results each video had when this run was planned, or
    None if it had none; a video that is missing there had none. If another run has committed
    results for a video since, those stay, except that a success replaces a failure. After
    `transaction`, `superseded` has the ids of the videos whose results stayed.
    """

    def __init__(
        self,
        uri: str,
        files: Sequence[MaskletFile],
        records: Sequence[VideoRecord],
        run_id: str,
        expected_run_ids: Mapping[str, str | None],
    ) -> None:
        """Raises ValueError for masklets without a video row, and for two rows of one video."""
        _check(files, records)
        self._roots = {name: f"{uri}/{name}" for name in (VIDEOS, MASKLETS)}
        self._files = files
        self._records = sorted(records, key=lambda record: record.video_id)
        self._run_id = run_id
        self._expected_run_ids = expected_run_ids
        self.superseded: frozenset[str] = frozenset()

    def transaction(self, snapshot: Snapshot) -> Transaction | None:
        """Return the change on this snapshot; None if other runs have done all of it.

        Raises PreflightError if the tables have other columns than this version's by now.
        """
        check_columns(snapshot)
        existing = self._existing(snapshot)
        self.superseded = frozenset(
            record.video_id
            for record in self._records
            if self._is_superseded(record, existing.get(record.video_id))
        )
        records = [record for record in self._records if record.video_id not in self.superseded]
        if not records:
            return None
        replaced = {record.video_id for record in records} & existing.keys()
        row = write_file(self._roots[VIDEOS], to_table(VideoRecord, records), {})
        return Transaction(
            operation="run",
            videos=self._delete(snapshot, VIDEOS, replaced).with_files(row),
            masklets=self._delete(
                snapshot, MASKLETS, {i for i in replaced if existing[i]["num_masklets"]}
            ).with_files(*self._added_files()),
            notes={
                "run_id": self._run_id,
                "videos_added": len(records) - len(replaced),
                "videos_replaced": len(replaced),
                "masklets_added": sum(record.num_masklets for record in records),
            },
        )

    def _existing(self, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
        ids = [record.video_id for record in self._records]
        rows = rows_of(snapshot.videos, self._roots[VIDEOS], ids, _COLUMNS)
        return {row["video_id"]: row for row in rows.to_pylist()}

    def _is_superseded(self, record: VideoRecord, existing: Mapping[str, Any] | None) -> bool:
        if existing is None:
            return False
        expected = self._expected_run_ids.get(record.video_id)
        if existing["run_id"] in (self._run_id, expected):
            return False
        return existing["status"] in ("ok", "empty") or record.failure_kind is not None

    def _delete(self, snapshot: Snapshot, name: str, video_ids: Collection[str]) -> FileActions:
        return delete_videos(snapshot.table(name), self._roots[name], video_ids)

    def _added_files(self) -> list[AddAction]:
        """Return the files to add, without the rows of superseded videos."""
        added = []
        for file in self._files:
            superseded = self.superseded.intersection(file.video_ids)
            if not superseded:
                added.append(add_action(file))
            elif len(superseded) < len(file.video_ids):
                added.append(self._without_superseded(file))
        return added

    def _without_superseded(self, file: MaskletFile) -> AddAction:
        root, action = self._roots[MASKLETS], add_action(file)
        rows = read_file(root, file.path)
        is_superseded = pc.is_in(rows["video_id"], pa.array(list(self.superseded), pa.string()))
        return write_file(root, rows.filter(pc.invert(is_superseded)), action.partition_values)


def _check(files: Sequence[MaskletFile], records: Sequence[VideoRecord]) -> None:
    ids = [record.video_id for record in records]
    if twice := [video_id for video_id, count in Counter(ids).items() if count > 1]:
        raise ValueError(f"a commit must have one row for each video, got two for {twice}")
    if missing := {video_id for file in files for video_id in file.video_ids} - set(ids):
        raise ValueError(f"masklets must be committed with their videos, got none for {missing}")
