"""The tables that runs write and people read; `open_dataset` is the door to them."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvtt_flow.dataset.commits import Dataset


def open_dataset(uri: str, version: int | None = None, *, at: datetime | None = None) -> "Dataset":
    """The dataset at a folder or bucket: a version, the latest one at a time, or the latest.

    Raises PreflightError when there is no dataset, no such version, or no access; ValueError for
    a time without a zone, or beside a version.
    """
    from pvtt_flow.dataset.commits import Dataset
    from pvtt_flow.dataset.history import version_at

    if version is not None and at is not None:
        raise ValueError(f"give a version or a time, not both, got {version} and {at}")
    dataset = Dataset(uri, version)
    dataset.check()
    if at is not None:
        dataset = Dataset(uri, version_at(dataset.uri, at))
        dataset.check()
    return dataset
