"""A run that is told to stop: a word on what is kept, an exit code, and nothing of Ray's."""

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.slow.flow_command import Shell, copies, wait_until, write_config
from tests.slow.tables import check_consistent
from tests.slow.test_kills import has_committed
from tests.slow.undisturbed import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_VIDEOS = 20
NOISE = ("Traceback", "ERROR", "SIGTERM", "(raylet)", ".cc:", "ray.io", "Aborted")


def test_what_is_committed_is_said(shell: Shell, tmp_path: Path) -> None:
    uri = str(tmp_path / "dataset")
    videos = copies(tmp_path / "videos", NUM_VIDEOS, "one_product.mp4")
    config = write_config(tmp_path / "config.yaml", str(videos), uri)
    command = ("pvtt-flow", "run", str(config), *SETTINGS)
    before = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        log = tmp_path / f"{number.name}.log"
        process = shell.start(*command, log=log)
        more = partial(has_committed, uri, before + 1)
        assert wait_until(more, timeout_s=400), log.read_text()
        process.send_signal(number)
        assert process.wait(400) == code, log.read_text()
        text = log.read_text()
        committed = check_consistent(uri)
        assert committed < NUM_VIDEOS, "it ended too late to be stopped"
        left = NUM_VIDEOS - before
        assert (
            f"ended early: {committed - before} of {left} videos are committed; "
            "the same command goes on with the rest" in text
        )
        assert not [word for word in NOISE if word in text], text
        before = committed
