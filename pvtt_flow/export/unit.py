"""Unit of an export: sequences that are written, published and recorded together."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvtt_flow.errors import DataError, StoreError
from pvtt_flow.export.formats.format import Format, Part
from pvtt_flow.export.selection import Selection, SequenceRef
from pvtt_flow.export.sequence import Sequence, read_sequence
from pvtt_flow.storage.folder import OutputFolder, StoredFile
from pvtt_flow.storage.store_errors import describe

if TYPE_CHECKING:
    from pvtt_flow.readers.snapshot import DatasetSnapshot

WORK = "_incomplete"
RECORDS = f"{WORK}/records"


@dataclass(frozen=True, slots=True)
class Unit:
    """Sequences of a unit, and its number."""

    number: int
    refs: tuple[SequenceRef, ...]

    @property
    def name(self) -> str:
        """Number as text; names sort in order."""
        return f"{self.number:08d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecord:
    """Result of a unit; as JSON in the export, the proof that all its files are there."""

    written: tuple[dict[str, Any], ...]
    """Facts and part of each sequence that was written."""
    skipped: tuple[dict[str, str], ...]
    """Sequence, kind and message of each that could not be."""
    unfit: tuple[dict[str, str], ...]
    """Sequence, masklet and message of each that the format cannot use, and left out."""
    files: tuple[StoredFile, ...]

    @property
    def num_sequences(self) -> int:
        """Number of sequences, whatever became of them."""
        written = {sequence["facts"]["sequence"] for sequence in self.written}
        return len(written.union(row["sequence"] for row in (*self.skipped, *self.unfit)))


def units_of(selection: Selection, size: int) -> Iterator[Unit]:
    """Divide a selection into units of `size` sequences."""
    refs, number = iter(selection), 0
    while chunk := tuple(islice(refs, size)):
        yield Unit(number, chunk)
        number += 1


def record_name(unit: Unit, *, whole: bool = True) -> str:
    """Return the file name of the record of a unit; one that skipped something is not whole."""
    return f"{unit.name}.json" if whole else f"{unit.name}.skipped.json"


class UnitWriter:
    """Function that writes a unit and returns its record; it can be pickled."""

    def __init__(
        self,
        dataset: "DatasetSnapshot",
        output_format: Format,
        to: OutputFolder,
        *,
        anonymous: bool = False,
    ) -> None:
        """Write in a format to a folder; `anonymous` reads public buckets without credentials."""
        self._dataset = dataset
        self._format = output_format
        self._to = to
        self._anonymous = anonymous

    def __call__(self, unit: Unit) -> UnitRecord:
        """Write all sequences of a unit, and then its record.

        Sequences that raise DataError are skipped and leave no file. Raises StoreError if the
        output takes no more files.
        """
        with self._to.staged(WORK) as staging:
            folders: list[Path] = []
            written: list[dict[str, Any]] = []
            skipped: list[dict[str, str]] = []
            unfit: list[dict[str, str]] = []
            for ref in unit.refs:
                folder = Path(tempfile.mkdtemp(dir=staging))
                try:
                    sequence = read_sequence(self._dataset, ref, anonymous=self._anonymous)
                    part = self._write(sequence, folder)
                except DataError as error:
                    reason = {"kind": error.kind, "message": str(error)}
                    skipped.append({"sequence": ref.name, "video_id": ref.video_id, **reason})
                    continue
                unfit += (
                    {"sequence": ref.name, "masklet_id": masklet_id, "message": reason}
                    for masklet_id, reason in sequence.unfit.items()
                )
                if sequence.unfit and not sequence.masklets:
                    continue
                folders.append(folder)
                written.append({"facts": sequence.facts(), "part": part})
            files = self._publish(folders, staging / "packed", unit)
            record = UnitRecord(
                written=tuple(written),
                skipped=tuple(skipped),
                unfit=tuple(unfit),
                files=tuple(files),
            )
            self._record(record, staging / "record", unit)
        return record

    def _write(self, sequence: Sequence, folder: Path) -> Part:
        try:
            return self._format.write(sequence, folder)
        except OSError as error:
            # Videos are read through `storage`, which raises errors of its own.
            reason = describe(error, self._to.uri)
            raise StoreError(f"--to: files must be written, but {reason}") from error

    def _publish(self, folders: list[Path], packed: Path, unit: Unit) -> list[StoredFile]:
        if not folders:
            return []
        packed.mkdir()
        ready = self._format.pack(folders, packed, unit.name)
        return [file for folder in ready for file in self._to.publish(folder)]

    def _record(self, record: UnitRecord, folder: Path, unit: Unit) -> None:
        path = folder / RECORDS / record_name(unit, whole=not record.skipped)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record, default=_fields))
        self._to.publish(folder)


def _fields(row: UnitRecord | StoredFile) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}
