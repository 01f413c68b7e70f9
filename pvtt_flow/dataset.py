"""The public door to a dataset."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvtt_flow.storage.commits import Dataset


def open_dataset(uri: str, version: int | None = None) -> "Dataset":
    """The dataset at a folder or bucket, as of `version`, or the latest.

    Raises PreflightError when there is no dataset, no such version, or no access.
    """
    from pvtt_flow.storage.commits import Dataset

    dataset = Dataset(uri, version)
    dataset.check()
    return dataset
