"""The `segmenter` command: train where the checkpoint left off, export the averaged weights."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from pvtt_flow.training import corpus
from pvtt_flow.training.checkpoint import resume
from pvtt_flow.training.parallel import launch
from pvtt_flow.training.progress import say
from pvtt_flow.training.segmenter.model import build, export
from pvtt_flow.training.segmenter.train import Trainer, run

LENGTHS = (8, 16)


def train_segmenter(
    work: Path, *, processes: int = 1, export_only: bool = False,
    report: Callable[[str], None] = say,
) -> None:  # fmt: skip
    """Train on the shards under `work`, save checkpoints there, and write the shipped weights."""
    if not export_only:
        launch(_train, processes, work, report)
    trainer = Trainer(build())
    resume(trainer, work / "segmenter.pt")
    export(trainer.average.state)


def _train(work: Path, report: Callable[[str], None]) -> None:
    torch.manual_seed(0)
    trainer = Trainer(build())
    run(trainer, lambda: _shards(work / "corpus"), work / "segmenter.pt", report=report)


def _shards(folder: Path) -> list[corpus.Shard]:
    paths = [path for length in LENGTHS for path in corpus.shards(folder, "train", length)]
    if not paths:
        raise FileNotFoundError(f"no clips in {folder}: run `pvtt_flow.training render` first")
    return [_load_cached(path) for path in paths]


@cache
def _load_cached(path: Path) -> corpus.Shard:
    return corpus.load(path)
