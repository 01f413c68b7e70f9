"""Base class of export formats: files of each sequence, then files of the whole."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from collections.abc import Sequence as List
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from pvtt_flow.core.profile import Profile
from pvtt_flow.export.selection import Contents
from pvtt_flow.export.sequence import Sequence

Part: TypeAlias = dict[str, Any]
"""Contribution of a sequence to the files of the whole, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSequence:
    """Sequence whose files are in the export."""

    facts: dict[str, Any]
    """See `Sequence.facts`."""
    part: Part


Written: TypeAlias = Callable[[], Iterator[WrittenSequence]]
"""Function that iterates over all written sequences in order, each time from the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """Options of every format."""

    pictures: bool = True
    """Write frames or clips, and not only masks and boxes; without them no video is decoded."""
    jpeg_quality: int = 95
    profile: Profile | None = None
    """Consumer of the format `consumer`; other formats have none."""


class Format(ABC):
    """Writes sequences in the form that one consumer reads.

    `write` may run in many processes at once. Its files are those of one sequence; if it raises
    DataError they are dropped.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """Layout and readers, in a line."""
    sequences_per_unit: ClassVar[int] = 1
    """Number of sequences that `pack` may put into one file."""
    takes_profile: ClassVar[bool] = False
    """True if `FormatOptions.profile` says what to write."""
    negatives: ClassVar[bool] = False
    """True if videos without a product are of use."""

    def __init__(self, options: FormatOptions, contents: Contents) -> None:
        self.options = options
        self.contents = contents

    @abstractmethod
    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the files of a sequence into an empty folder, whose paths are those of the export.

        Raises DataError if the sequence cannot be written.
        """

    def pack(self, folders: List[Path], folder: Path, unit: str) -> List[Path]:
        """Return the folders to publish: those of the sequences, or `folder` with them packed.

        `unit` is a number as text, unique in the export.
        """
        del folder, unit
        return folders

    def finish(self, written: Written, folder: Path) -> None:
        """Write the files that describe all sequences into an empty folder."""
        del written, folder
