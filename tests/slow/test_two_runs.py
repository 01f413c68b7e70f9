"""Two runs that write to one dataset at once."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.slow.flow_command import Shell, copies, write_config
from tests.slow.tables import check_consistent

if TYPE_CHECKING:
    from tests.conftest import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_VIDEOS = 6


def test_no_video_is_doubled_or_lost(s3: "S3Server", shell: Shell, tmp_path: Path) -> None:
    videos = copies(tmp_path / "videos", NUM_VIDEOS, "one_product.mp4", "two_products.mp4")
    uri = f"{s3.bucket()}/dataset"
    config = write_config(tmp_path / "config.yaml", str(videos), uri)
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    runs = [shell.start("pvtt-flow", "run", str(config), log=log) for log in logs]
    codes = [run.wait(timeout=800) for run in runs]
    texts = [log.read_text() for log in logs]
    assert codes == [0, 0], texts
    assert check_consistent(uri) == NUM_VIDEOS
    assert all(f"plan: {NUM_VIDEOS} new" in text for text in texts), "both runs plan all videos"
    warned = [text for text in texts if "another run writes to" in text]
    assert warned, "the run that finishes a video second warns"
    assert all("finished first by another run" in text for text in warned)
    history = shell.run("pvtt-flow", "history", uri)
    assert history.returncode == 0, history.stdout
