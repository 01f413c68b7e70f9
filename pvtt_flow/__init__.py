"""pvtt_flow: a bucket of product videos in, a dataset of masklets out.

Importing the package is cheap; everything heavy is imported where it is used.
"""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pvtt_flow.readers.snapshot import DatasetSnapshot

__version__ = "0.1.0"


def open_dataset(
    uri: str, version: int | None = None, *, at: datetime | None = None
) -> "DatasetSnapshot":
    """The dataset at a folder or bucket: a version, the latest one at a time, or the latest.

    Raises PreflightError when there is no dataset, no such version, or no access; ValueError for
    a time without a zone, or beside a version.
    """
    from pvtt_flow.dataset.dataset import Dataset
    from pvtt_flow.readers.snapshot import DatasetSnapshot

    return DatasetSnapshot(Dataset.existing(uri, version, at=at))
