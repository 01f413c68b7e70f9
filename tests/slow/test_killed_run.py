"""A run that is killed in the middle loses only what was not committed yet."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from pvtt_flow.dataset.commits import Dataset
from pvtt_flow.errors import PreflightError

from .flow_command import Shell, copies, wait_until, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUM_VIDEOS = 6


def test_the_next_run_does_the_rest_and_nothing_twice(shell: Shell, tmp_path: Path) -> None:
    videos = copies(tmp_path / "videos", NUM_VIDEOS, "one_product.mp4")
    dataset = Dataset(str(tmp_path / "dataset"))
    config = write_config(tmp_path / "config.yaml", str(videos), dataset.uri)

    # More frames than in the other tests and one shot at a time, so that there is a middle.
    settings = ("--set", "sampling.stride=4", "--set", "tracker.lanes=1")
    run = ("pvtt-flow", "run", str(config), *settings)

    log = tmp_path / "run.log"
    process = shell.start(*run, log=log)
    committed = wait_until(lambda: has_seals(dataset), timeout_s=180)
    process.kill()
    process.wait()
    assert committed, log.read_text()
    shell.clear()

    before = runs_by_video(dataset)
    assert 0 < len(before) < NUM_VIDEOS, log.read_text()
    rest = NUM_VIDEOS - len(before)

    again = shell.run(*run)
    assert again.returncode == 0, again.stdout
    assert f"plan: {rest} new, {len(before)} unchanged" in again.stdout
    after = runs_by_video(dataset)
    assert len(after) == NUM_VIDEOS
    assert {video_id: after[video_id] for video_id in before} == before


def has_seals(dataset: Dataset) -> bool:
    """Whether something is committed."""
    with suppress(PreflightError):  # the tables are just being made
        return dataset.exists() and len(dataset.ledger()) > 0
    return False


def runs_by_video(dataset: Dataset) -> dict[str, str]:
    """Which run sealed each video; checks that masklets and seals are of one mind."""
    seals = open_dataset(dataset.uri).videos().to_table().to_pylist()
    rows = dataset.masklets().to_table(columns=["video_id", "masklet_id", "run_id"]).to_pylist()
    found = {seal["video_id"]: seal["run_id"] for seal in seals}
    assert len(found) == len(seals)
    assert all(found.get(row["video_id"]) == row["run_id"] for row in rows)
    assert max(Counter(row["masklet_id"] for row in rows).values()) == 1
    counted = Counter(row["video_id"] for row in rows)
    assert all(seal["num_masklets"] == counted[seal["video_id"]] for seal in seals)
    return found
