"""Real files of many codecs and containers, broken ones among them, through the command."""

from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from tests.slow.flow_command import Shell, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_every_file_is_accounted_for(shared_data: Path, shell: Shell, tmp_path: Path) -> None:
    videos = shared_data / "videos"
    output = str(tmp_path / "dataset")
    config = write_config(tmp_path / "config.yaml", str(videos), output)
    sampling = ("--set", "sampling={target_fps: 2}")
    done = shell.run("pvtt-flow", "run", str(config), *sampling, timeout_s=1000)
    assert done.returncode == 0, done.stdout

    records = {row["uri"]: row for row in open_dataset(output).videos().to_table().to_pylist()}
    assert set(records) == {str(path) for path in videos.rglob("*") if path.is_file()}
    failed = {Path(uri).name: row for uri, row in records.items() if row["failure_kind"]}
    assert failed["zero_length.mp4"]["failure_kind"] == "empty_file"
    assert all(row["failure_message"] for row in failed.values())
    assert not [row for row in failed.values() if row["failure_kind"] == "internal"]
    tracked = [row for row in records.values() if row["status"] == "ok"]
    assert all(row["num_frames"] > 0 for row in tracked)
