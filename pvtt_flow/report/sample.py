"""Choose the videos that a report shows: those in most doubt, others at random."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pvtt_flow.report.content import Kind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Empty and failed videos get at most this share each: most of the page is for masks.
_SHARE = 8
_DOUBT = """
SELECT video_id FROM masklets GROUP BY video_id
ORDER BY min(coalesce({probability}, 0)), md5(video_id || ?) LIMIT ?
"""
# Those of other kinds of failure come first: ten times the same failure says little.
_OF_STATUS = """
SELECT video_id FROM (
  SELECT video_id, md5(video_id || ?) AS chance,
         row_number() OVER (PARTITION BY failure_kind ORDER BY md5(video_id || ?)) AS place
  FROM videos WHERE status IN {statuses}
) ORDER BY place, chance LIMIT ?
"""
_RANDOM = "SELECT video_id FROM videos ORDER BY md5(video_id || ?) LIMIT ?"
_NAMES: Mapping[Kind, str] = {
    "doubt": "the {n:,} in most doubt",
    "random": "{n:,} at random",
    "empty": "{n:,} without a product",
    "failed": "{n:,} that failed",
}


def choose_videos(
    db: "DuckDBPyConnection", num_videos: int, seed: int, *, has_probability: bool
) -> dict[str, Kind]:
    """Choose at most so many videos, each for a reason; the same seed chooses the same ones.

    The order is that of the reasons: doubt, random, empty, failed.
    """
    (total,) = db.execute("SELECT count(*) FROM videos").fetchall()[0]
    salt = f"/{seed}"
    probability = "good_probability" if has_probability else "NULL"
    doubt_sql = _DOUBT.format(probability=probability)
    if total <= num_videos:
        doubted = _ids(db, doubt_sql, salt, total)
        others = _ids(db, _RANDOM, salt, total)
        return dict.fromkeys((*doubted, *others), "all")
    share = num_videos // _SHARE
    empty = _of_status(db, "('empty')", salt, share)
    failed = _of_status(db, "('failed', 'quarantined')", salt, share)
    num_others = num_videos - len(empty) - len(failed)
    chosen: dict[str, Kind] = {**dict.fromkeys(empty, "empty"), **dict.fromkeys(failed, "failed")}
    doubted = _ids(db, doubt_sql, salt, (num_others + 1) // 2)
    kept: dict[str, Kind] = dict.fromkeys(doubted, "doubt")
    # Enough for all that are chosen already to be among them.
    for video_id in _ids(db, _RANDOM, salt, 2 * num_videos):
        if len(kept) == num_others:
            break
        if video_id not in chosen:
            kept.setdefault(video_id, "random")
    return {**kept, **chosen}


def describe_sample(kinds: Iterable[Kind], num_videos: int, seed: int) -> str:
    """Say which videos are shown, of how many."""
    shown = list(kinds)
    if len(shown) == num_videos:
        return f"All {num_videos:,} videos."
    parts = [
        text.format(n=shown.count(kind)) + (f" (seed {seed})" if kind == "random" else "")
        for kind, text in _NAMES.items()
        if kind in shown
    ]
    return f"{len(shown):,} of {num_videos:,} videos: {', '.join(parts)}."


def _of_status(db: "DuckDBPyConnection", statuses: str, salt: str, limit: int) -> list[str]:
    rows = db.execute(_OF_STATUS.format(statuses=statuses), [salt, salt, limit])
    return [video_id for (video_id,) in rows.fetchall()]


def _ids(db: "DuckDBPyConnection", sql: str, salt: str, limit: int) -> list[str]:
    return [video_id for (video_id,) in db.execute(sql, [salt, limit]).fetchall()]
