"""Content that must be equal in two datasets of the same videos."""

from collections import Counter
from typing import Any

from pvtt_flow import open_dataset

# When and by which run something was made; everything else is a function of the input.
_TIMES = {"inspect_s", "detect_s", "propagate_s", "finished_at_ns", "run_id"}


Rows = dict[str, list[dict[str, Any]]]


def rows_of(uri: str) -> Rows:
    """All rows of both tables but their times and runs, in the order of their ids."""
    dataset = open_dataset(uri)
    tables = {"videos": dataset.videos(), "masklets": dataset.masklets()}
    return {
        name: sorted(
            (
                {k: v for k, v in row.items() if k not in _TIMES}
                for row in rows.to_table().to_pylist()
            ),
            key=lambda row: str(row.get("masklet_id") or row["video_id"]),
        )
        for name, rows in tables.items()
    }


def check_consistent(uri: str) -> int:
    """Check that committed videos, and no others, have their masklets once; return their number."""
    dataset = open_dataset(uri)
    with dataset.duckdb() as db:
        videos = db.sql("SELECT video_id, run_id, num_masklets FROM videos").fetchall()
        masklets = db.sql("SELECT video_id, run_id, masklet_id FROM masklets").fetchall()
    assert len({video for video, _, _ in videos}) == len(videos)
    assert len({masklet for _, _, masklet in masklets}) == len(masklets)
    counted = Counter((video, run) for video, run, _ in masklets)
    assert counted == {(video, run): n for video, run, n in videos if n}
    return len(videos)


def runs_of(uri: str) -> dict[str, str]:
    """Return the run that finished each video."""
    rows = open_dataset(uri).videos().to_table(columns=["video_id", "run_id"]).to_pylist()
    return {row["video_id"]: row["run_id"] for row in rows}
