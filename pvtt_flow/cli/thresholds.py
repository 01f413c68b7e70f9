"""Say by which thresholds verdicts are judged."""

from collections.abc import Mapping

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.pipeline.thresholds import differences, thresholds_in_use


def as_text(keys: Mapping[str, object]) -> str:
    """Return keys of the section `qc` with their values, as `--set` takes them."""
    return ", ".join(_override(key, value) for key, value in keys.items())


def threshold_notice(config: RunConfig) -> str | None:
    """Say that verdicts in the dataset are by other thresholds; None if they are not."""
    dataset = Dataset(config.output.uri)
    if not dataset.exists():
        return None
    others = {
        key: value
        for thresholds in thresholds_in_use(dataset.uri)
        for key, value in differences(config.qc, thresholds).items()
    }
    if not others:
        return None
    overrides = " ".join(f"--set {_override(key, value)}" for key, value in others.items())
    return (
        "verdicts in the dataset were judged by other thresholds; make them equal with "
        f"pvtt-flow judge {config.output.uri} {overrides}"
    )


def _override(key: str, value: object) -> str:
    text = f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else value
    return f"qc.{key}={text}"
