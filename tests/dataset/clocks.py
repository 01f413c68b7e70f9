"""Commits by a clock that is wrong, or was right long ago."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from pvtt_flow.dataset.dataset import Dataset


@contextmanager
def clock(dataset: Dataset, skew: timedelta) -> Iterator[None]:
    """Whoever commits inside has a clock that is ahead by `skew`; a negative one is behind."""
    before = _files(dataset)
    real, skew_ns = time.time_ns, skew // timedelta(microseconds=1) * 1000
    with patch("time.time_ns", lambda: real() + skew_ns):
        yield
    for path in _files(dataset) - before:
        if path.parent.name == "_delta_log":
            _shift(path, skew)
        os.utime(path, ns=(real() + skew_ns,) * 2)


def _files(dataset: Dataset) -> set[Path]:
    return {path for path in Path(dataset.uri).rglob("*") if path.is_file()}


def _shift(entry: Path, skew: timedelta) -> None:
    """The time of the commit in an entry of the log: delta-rs has a clock of its own."""
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] += skew // timedelta(milliseconds=1)
    entry.write_text("\n".join(map(json.dumps, actions)))
