"""Blocks of videos that a run passes to Ray."""

from dataclasses import replace

import pytest

from pvtt_flow.dataset.arrow import from_table
from pvtt_flow.pipeline.pipeline import _blocks
from pvtt_flow.types import ShotRecord
from tests.pipeline.shot_results import SHOT


@pytest.mark.parametrize(
    ("num_videos", "num_blocks"), [(0, 0), (1, 1), (1500, 1500), (5000, 1250), (80_000, 1250)]
)
def test_few_videos_run_beside_each_other_and_many_fit_into_the_store(
    num_videos: int, num_blocks: int
) -> None:
    sources = [replace(SHOT.source, video_id=str(n)) for n in range(num_videos)]
    blocks = list(_blocks(sources))
    assert len(blocks) == num_blocks
    rows = [record.source for block in blocks[:3] for record in from_table(ShotRecord, block)]
    assert rows == sources[: len(rows)]
    assert sum(block.num_rows for block in blocks) == num_videos
