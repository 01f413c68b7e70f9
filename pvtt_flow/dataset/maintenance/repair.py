"""Repair: forget what was lost with files, so that the next run makes it again."""

from dataclasses import dataclass

from pvtt_flow.dataset.check import Damaged, lost_videos
from pvtt_flow.dataset.file_actions import delete_videos
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.dataset.tables import MASKLETS, VIDEOS
from pvtt_flow.dataset.transactions import Transaction, commit


@dataclass(slots=True)
class Repaired:
    """Result of a repair."""

    version: int
    video_ids: tuple[str, ...] = ()
    """Videos that were forgotten."""


def repair(uri: str, damaged: Damaged) -> Repaired:
    """Remove files from the tables, unread, and the other rows of the videos that lost rows.

    The next run treats these videos as new. Earlier versions still name the files: if they are put
    back, `restore` undoes the repair. Raises DamagedFileError if another file is damaged, too.
    """
    result = Repaired(0)

    def transaction(snapshot: Snapshot) -> Transaction:
        result.video_ids = lost_videos(snapshot, damaged)
        videos, masklets = (
            delete_videos(table, f"{uri}/{name}", result.video_ids, damaged.get(name, ()))
            for name, table in ((VIDEOS, snapshot.videos), (MASKLETS, snapshot.masklets))
        )
        return Transaction(
            operation="repair",
            videos=videos,
            masklets=masklets,
            notes={
                "files_lost": sum(map(len, damaged.values())),
                "videos_forgotten": len(result.video_ids),
            },
        )

    result.version = commit(uri, transaction)
    return result
