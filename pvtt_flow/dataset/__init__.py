"""The tables that runs write and people read; `open_dataset` is the door to them."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvtt_flow.dataset.commits import Dataset


def open_dataset(uri: str, version: int | None = None, *, at: datetime | None = None) -> "Dataset":
    """The dataset at a folder or bucket: a version, the latest one at a time, or the latest.

    Raises PreflightError when there is no dataset, no such version, or no access.
    """
    from pvtt_flow.dataset.commits import Dataset
    from pvtt_flow.dataset.history import version_at

    dataset = Dataset(uri, version)
    dataset.check()
    return dataset if at is None else Dataset(uri, version_at(dataset.uri, at))
