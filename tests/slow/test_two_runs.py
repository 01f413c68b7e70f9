"""Two runs that write to one dataset at once."""

import time
from pathlib import Path

import pytest

from tests.slow.flow_command import Shell, copies, write_config
from tests.slow.tables import check_consistent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUM_VIDEOS = 10


@pytest.mark.parametrize("where", ["local", "s3"])
def test_no_video_is_doubled_or_lost(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    videos = copies(tmp_path / "videos", NUM_VIDEOS, "one_product.mp4", "two_products.mp4")
    root = str(tmp_path) if where == "local" else request.getfixturevalue("s3").bucket()
    # After the S3 server, whose credentials are in the environment that the shell copies.
    shell: Shell = request.getfixturevalue("shell")
    config = write_config(tmp_path / "config.yaml", str(videos), f"{root}/dataset")
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    runs = []
    for log in logs:
        runs.append(shell.start("pvtt-flow", "run", str(config), log=log))
        time.sleep(2)
    codes = [run.wait(timeout=400) for run in runs]
    texts = [log.read_text() for log in logs]
    assert codes == [0, 0], texts
    assert check_consistent(f"{root}/dataset") == NUM_VIDEOS
    assert all("plan: 10 new" in text for text in texts), "both runs plan all videos"
    warned = [text for text in texts if "another run writes to" in text]
    assert warned, "the run that finishes a video second warns"
    assert all("finished first by another run" in text for text in warned)
    history = shell.run("pvtt-flow", "history", f"{root}/dataset")
    assert history.returncode == 0, history.stdout
