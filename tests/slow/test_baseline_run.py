"""The command with a baseline in place of SAM 2's tracking."""

from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from tests.slow.flow_command import Shell, copies, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_masks_of_sam_per_frame(shell: Shell, tmp_path: Path) -> None:
    videos = copies(tmp_path / "videos", 1, "one_product.mp4")
    config = write_config(tmp_path / "config.yaml", str(videos), str(tmp_path / "out"))
    done = shell.run(
        "pvtt-flow", "run", str(config), "--set", "tracker.baseline.method=sam_per_frame"
    )
    assert done.returncode == 0, done.stdout
    dataset = open_dataset(str(tmp_path / "out"))
    (record,) = dataset.find_videos("")
    (masklet,) = dataset.masklets_of(record.video_id)
    assert record.num_frames == len(masklet.frames) > 1
    first, *others = masklet.frames
    # SAM 2 estimates the IoU of its first mask; of the others there is only the mask.
    assert first.predicted_iou is not None
    assert {frame.predicted_iou for frame in others} == {None}
    assert all(frame.rle is not None and frame.area_px > 0 for frame in masklet.frames)
