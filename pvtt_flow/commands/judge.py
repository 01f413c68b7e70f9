"""`pvtt-flow judge`: new verdicts from stored measurements; no GPU, no video."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pvtt_flow.config.loading import load, load_thresholds
from pvtt_flow.console.tables import counts_table
from pvtt_flow.core.qc import judge
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.rejudge import rejudge


def judge_dataset(
    uri: str, config: Path | None, overrides: Sequence[str], console: Console
) -> None:
    """Judge with the config's thresholds, or the defaults, and the overrides on top."""
    thresholds = load_thresholds(overrides) if config is None else load(config, overrides).qc
    dataset = Dataset.existing(uri)
    done = rejudge(
        dataset.uri,
        lambda measured: judge(measured, thresholds),
        {"thresholds": thresholds.model_dump(exclude_defaults=True)},
    )
    changes = {f"{old} → {new}": n for (old, new), n in sorted(done.changes.items())}
    console.print(counts_table("verdicts changed", changes or {"none": 0}))
    console.print(f"{done.num_masklets} masklets judged; version {done.version}")
