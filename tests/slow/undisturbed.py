"""Run that nothing disturbs, whose tables every disturbed one must end up with."""

import time
from dataclasses import dataclass
from pathlib import Path

from pvtt_flow import open_dataset
from tests.slow.flow_command import Shell, copies, write_config
from tests.slow.tables import Rows, rows_of

NUM_VIDEOS = 14
# One shot at a time in every batch, so that even the last digit of a score is the same.
SETTINGS = (
    *("--set", "tracker.max_concurrent_shots=1", "--set", "resources.detect.batch_size=1"),
    # Most frames, so that there is a middle.
    *("--set", "sampling.stride=2"),
)
_SAMPLES = ("one_product.mp4", "two_products.mp4", "truncated.mp4", "no_product.mp4")


@dataclass(frozen=True)
class Undisturbed:
    """Input and result of the run."""

    videos: Path
    rows: Rows
    first_commit_s: float
    """From its start."""


def run_undisturbed(home: Path) -> Undisturbed:
    """Process good videos, broken ones, and one that is no video."""
    videos = copies(home / "videos", NUM_VIDEOS - 1, *_SAMPLES)
    (videos / "text.mp4").write_text("no video")
    uri = str(home / "dataset")
    config = write_config(home / "config.yaml", str(videos), uri)
    started_ns = time.time_ns()
    ended = Shell.new().run("pvtt-flow", "run", str(config), *SETTINGS)
    assert ended.returncode == 0, ended.stdout
    committed_ns = min(open_dataset(uri).videos().to_table()["finished_at_ns"].to_pylist())
    return Undisturbed(videos, rows_of(uri), (committed_ns - started_ns) / 1e9)
