"""The output's disk gets full in the middle of a run: it stops, and goes on when there is room."""

from functools import partial
from pathlib import Path

import pytest

from pvtt_flow import open_dataset
from tests.disks import small_disk
from tests.slow.flow_command import Shell, copies, wait_until, write_config
from tests.slow.tables import check_consistent
from tests.slow.test_kills import has_committed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_VIDEOS = 12


def test_the_next_run_processes_the_rest(shell: Shell, tmp_path: Path) -> None:
    videos = copies(tmp_path / "videos", NUM_VIDEOS, "one_product.mp4")
    log = tmp_path / "run.log"
    with small_disk(tmp_path / "disk", size_mib=16) as disk:
        uri = str(disk.path / "dataset")
        config = write_config(tmp_path / "config.yaml", str(videos), uri)
        # More frames than in other tests and one shot at a time, so that there is a middle.
        settings = ("--set", "sampling.stride=3", "--set", "tracker.max_concurrent_shots=1")
        command = ("pvtt-flow", "run", str(config), *settings)
        process = shell.start(*command, log=log)
        assert wait_until(partial(has_committed, uri, 2), timeout_s=400), log.read_text()
        disk.fill()
        assert process.wait(timeout=400) == 3, log.read_text()
        text = log.read_text()
        assert text.count("error: ") == 1, text
        assert "error: $.output.uri: " in text
        assert "(No space left on device); free some space, then run again" in text
        assert "Traceback" not in text
        num_committed = check_consistent(uri)
        assert 2 <= num_committed < NUM_VIDEOS

        # A run that stops removes its unfinished files, and leaves their room.
        shell.clear()
        disk.fill()
        full = shell.run(*command)
        assert full.returncode == 2, full.stdout
        assert "error: $.output.uri: a file must be written, but " in full.stdout
        assert "No space left on device" in full.stdout

        disk.make_room()
        rest = shell.run(*command)
        assert rest.returncode == 0, rest.stdout
        assert f"plan: {NUM_VIDEOS - num_committed} new, {num_committed} unchanged" in rest.stdout
        assert check_consistent(uri) == NUM_VIDEOS
        rows = open_dataset(uri).videos().to_table().to_pylist()
        assert {(row["status"], row["attempts"]) for row in rows} == {("ok", 0)}
