"""Finished videos on their way into the dataset."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction

from pvtt_flow.dataset.arrow import to_table
from pvtt_flow.dataset.file_actions import Edit, rows_of, without
from pvtt_flow.dataset.tables import (
    MASKLETS,
    VIDEOS,
    MaskletFile,
    add_action,
    read_file,
    write_file,
)
from pvtt_flow.dataset.transactions import Base, Step
from pvtt_flow.types import VideoRecord

_HELD = ("video_id", "run_id", "status", "num_masklets")


class Publication:
    """Seals and masklets that are to replace all that their videos had.

    `seen` gives the run whose results each video had when this one was planned (None when it had
    none, as for a video that is not named). Where another run has published since, its results
    stay, unless they are a failure and these are not: `overtaken` has the ids after each `step`.
    """

    def __init__(
        self,
        uri: str,
        files: Sequence[MaskletFile],
        records: Sequence[VideoRecord],
        run_id: str,
        seen: Mapping[str, str | None],
    ) -> None:
        """Raises ValueError for masklets without a seal, and for two seals of one video."""
        _check(files, records)
        self._roots = {name: f"{uri}/{name}" for name in (VIDEOS, MASKLETS)}
        self._files = files
        self._seals = sorted(records, key=lambda record: record.video_id)
        self._run_id = run_id
        self._seen = seen
        self.overtaken: frozenset[str] = frozenset()

    def step(self, base: Base) -> Step | None:
        """What there is to do now; None when all has been done by others."""
        held = self._held(base)
        late = [s.video_id for s in self._seals if self._is_late(s, held.get(s.video_id))]
        self.overtaken = frozenset(late)
        records = [record for record in self._seals if record.video_id not in self.overtaken]
        if not records:
            return None
        replaced = {record.video_id for record in records} & held.keys()
        row = write_file(self._roots[VIDEOS], to_table(VideoRecord, records), {})
        return Step(
            name="run",
            videos=self._without(base, VIDEOS, replaced).with_files(row),
            masklets=self._without(
                base, MASKLETS, {i for i in replaced if held[i]["num_masklets"]}
            ).with_files(*self._added()),
            notes={
                "run_id": self._run_id,
                "videos_added": len(records) - len(replaced),
                "videos_replaced": len(replaced),
                "masklets_added": sum(record.num_masklets for record in records),
            },
        )

    def _held(self, base: Base) -> dict[str, dict[str, Any]]:
        ids = [record.video_id for record in self._seals]
        rows = rows_of(base.videos, self._roots[VIDEOS], ids, _HELD)
        return {row["video_id"]: row for row in rows.to_pylist()}

    def _is_late(self, record: VideoRecord, held: Mapping[str, Any] | None) -> bool:
        if held is None or held["run_id"] in (self._run_id, self._seen.get(record.video_id)):
            return False
        return held["status"] in ("ok", "empty") or record.failure_kind is not None

    def _without(self, base: Base, name: str, video_ids: Collection[str]) -> Edit:
        table = base.videos if name == VIDEOS else base.masklets
        return without(table, self._roots[name], video_ids)

    def _added(self) -> list[AddAction]:
        """The files, without the rows of videos that came late."""
        added = []
        for file in self._files:
            late = self.overtaken.intersection(file.video_ids)
            if not late:
                added.append(add_action(file))
            elif len(late) < len(file.video_ids):
                added.append(self._rest(file))
        return added

    def _rest(self, file: MaskletFile) -> AddAction:
        root, action = self._roots[MASKLETS], add_action(file)
        rows = read_file(root, file.path)
        late = pc.is_in(rows["video_id"], pa.array(list(self.overtaken), pa.string()))
        return write_file(root, rows.filter(pc.invert(late)), action.partition_values)


def _check(files: Sequence[MaskletFile], records: Sequence[VideoRecord]) -> None:
    ids = [record.video_id for record in records]
    if twice := [video_id for video_id, count in Counter(ids).items() if count > 1]:
        raise ValueError(f"each video must be sealed once in a commit, got twice: {twice}")
    if unsealed := {video_id for file in files for video_id in file.video_ids} - set(ids):
        raise ValueError(f"masklets must be committed with their seals, got none: {unsealed}")
