"""Export a version of a dataset: plan, write units, describe the whole.

    plan ─► units ─► write, publish, record ─► finish ─► export.json
    driver  driver   threads or Ray tasks      driver    the seal

A unit is recorded when all its files are in place, so an export that was interrupted goes on where
it stopped. `export.json` is written last: a folder without it is not complete.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from pvtt_flow.core.profile import Profile
from pvtt_flow.errors import ConfigError
from pvtt_flow.export.formats import format_named
from pvtt_flow.export.formats.format import Format, FormatOptions, WrittenSequence
from pvtt_flow.export.selection import Query, Selection
from pvtt_flow.export.unit import (
    RECORDS,
    WORK,
    Unit,
    UnitRecord,
    UnitWriter,
    record_name,
    units_of,
)
from pvtt_flow.storage.files import check_writable, read_bytes
from pvtt_flow.storage.folder import OutputFolder
from pvtt_flow.storage.uris import normalize_uri, redact_uri

if TYPE_CHECKING:
    from pvtt_flow.readers.snapshot import DatasetSnapshot

KEY = "--to"
MANIFEST = "export.json"
SEQUENCES = "sequences.jsonl"
CHECKSUMS = "checksums.sha256"
_REQUEST = f"{WORK}/request.json"
# Columns of a manifest that say under which terms a video may be used.
_LICENSES = ("license", "licence")

MapUnits: TypeAlias = Callable[[Callable[[Unit], UnitRecord], Iterable[Unit]], Iterable[UnitRecord]]
"""Function that applies a function to units, several at once, and yields results in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Choice of masklets and their form; exports with the same request have the same files."""

    dataset_uri: str
    version: int
    format_name: str
    options: FormatOptions = field(default_factory=FormatOptions)
    query: Query = field(default_factory=Query)

    def as_json(self) -> dict[str, Any]:
        """Return the request as JSON-able values."""
        from pvtt_flow import __version__

        values = {
            **asdict(self),
            "dataset_uri": redact_uri(self.dataset_uri),
            "code_version": __version__,
        }
        # As they come back from the file: tuples are lists in JSON.
        request: dict[str, Any] = json.loads(json.dumps(values, default=_profile_values))
        return request


def _profile_values(profile: Profile) -> dict[str, Any]:
    return profile.model_dump(mode="json")


class Watcher(Protocol):
    """Sees the progress of an export."""

    def planned(self, num_sequences: int, num_done: int) -> None:
        """See the number of sequences, and how many an earlier try has written."""
        ...

    def finished(self, record: UnitRecord) -> None:
        """See the record of a unit."""
        ...


class Silent:
    """Watcher that shows nothing."""

    def planned(self, num_sequences: int, num_done: int) -> None:
        """See `Watcher`."""

    def finished(self, record: UnitRecord) -> None:
        """See `Watcher`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Result of an export."""

    uri: str
    counts: Mapping[str, int]
    skipped: tuple[Mapping[str, str], ...]
    unfit: tuple[Mapping[str, str], ...] = ()
    """Masklets that the format cannot use."""
    was_complete: bool = False
    """True if nothing was to be done."""


def run_export(
    dataset: "DatasetSnapshot",
    request: Request,
    to: str,
    map_units: MapUnits,
    watcher: Watcher,
    *,
    anonymous: bool = False,
) -> Exported:
    """Write the selected sequences of a dataset into the folder `to`.

    `anonymous` reads videos in public buckets without credentials.

    Raises ConfigError before anything is written for a wrong query or folder, StoreError if the
    folder takes no more files; then the same export goes on where it stopped.
    """
    folder = OutputFolder(normalize_uri(to), KEY)
    selection = Selection(dataset, request.query)
    kind = format_named(request.format_name)
    output_format = kind(request.options, selection.contents)
    if finished := _begin(folder, request, selection):
        return finished
    done = set(folder.names(RECORDS))
    size = output_format.sequences_per_unit
    left = [unit for unit in units_of(selection, size) if record_name(unit) not in done]
    num_sequences = len(selection)
    watcher.planned(num_sequences, num_sequences - sum(len(unit.refs) for unit in left))
    writer = UnitWriter(dataset, output_format, folder, anonymous=anonymous)
    for record in map_units(writer, left):
        watcher.finished(record)
    return _finish(folder, request, output_format, selection)


def interrupted_version(to: str) -> int | None:
    """Return the dataset version of an export that was interrupted; None if there is none."""
    data = read_bytes(f"{normalize_uri(to)}/{_REQUEST}", KEY)
    return None if data is None else int(json.loads(data)["version"])


def _begin(folder: OutputFolder, request: Request, selection: Selection) -> Exported | None:
    """Claim the folder for the request; return the result if it is already there."""
    if folder.uri == request.dataset_uri or folder.uri.startswith(f"{request.dataset_uri}/"):
        raise ConfigError(f"{KEY} must be outside of the dataset, got {redact_uri(folder.uri)}")
    wanted = request.as_json()
    if data := read_bytes(folder.place(MANIFEST), KEY):
        manifest = json.loads(data)
        _check_same(folder, wanted, manifest["request"])
        skipped = tuple(manifest["skipped"])
        if not skipped:
            return _exported(folder, manifest, was_complete=True)
    elif data := read_bytes(folder.place(_REQUEST), KEY):
        _check_same(folder, wanted, json.loads(data))
    elif not folder.is_empty():
        raise ConfigError(
            f"{KEY} must be an empty folder or hold this export, got {redact_uri(folder.uri)} with "
            "other files; choose another folder"
        )
    if not len(selection):
        raise ConfigError("the query must select at least one masklet, got none; see --where")
    check_writable(folder.uri, KEY)
    with folder.staged(WORK) as staging:
        path = staging / _REQUEST
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(wanted))
        folder.publish(staging)
    return None


def _check_same(folder: OutputFolder, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> None:
    different = [name for name in wanted if wanted[name] != got.get(name)]
    if different:
        name = different[0]
        raise ConfigError(
            f"{KEY} must hold the same export, but {redact_uri(folder.uri)} has {name} "
            f"{json.dumps(got.get(name))} and not {json.dumps(wanted[name])}; choose another folder"
        )


class _Records:
    """Records of all units, in order."""

    def __init__(self, folder: OutputFolder, selection: Selection, size: int) -> None:
        self._folder = folder
        self._selection = selection
        self._size = size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for unit in units_of(self._selection, self._size):
            for whole in (True, False):
                path = f"{RECORDS}/{record_name(unit, whole=whole)}"
                if data := read_bytes(self._folder.place(path), KEY):
                    yield json.loads(data)
                    break

    def written(self) -> Iterator[WrittenSequence]:
        """Iterate over the written sequences."""
        for record in self:
            yield from (WrittenSequence(**sequence) for sequence in record["written"])


def _finish(
    folder: OutputFolder, request: Request, output_format: Format, selection: Selection
) -> Exported:
    records = _Records(folder, selection, output_format.sequences_per_unit)
    with folder.staged(WORK) as staging:
        output_format.finish(records.written, staging)
        described = folder.publish(staging)
    with folder.staged(WORK) as staging:
        with (staging / SEQUENCES).open("w") as lines, (staging / CHECKSUMS).open("w") as sums:
            for file in described:
                _write_checksum(sums, asdict(file))
            summary = _summarize(records, lines, sums)
        folder.publish(staging)
    manifest = {
        "request": request.as_json(),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **summary,
    }
    with folder.staged(WORK) as staging:
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2))
        folder.publish(staging)
    folder.remove(WORK)
    return _exported(folder, manifest)


def _exported(
    folder: OutputFolder, manifest: Mapping[str, Any], *, was_complete: bool = False
) -> Exported:
    return Exported(
        uri=folder.uri,
        counts=manifest["counts"],
        skipped=tuple(manifest["skipped"]),
        unfit=tuple(manifest["unfit"]),
        was_complete=was_complete,
    )


def _summarize(records: _Records, lines: IO[str], sums: IO[str]) -> dict[str, Any]:
    """Write a line for each sequence and each file; return their counts."""
    counts: Counter[str] = Counter(
        {"sequences": 0, "masklets": 0, "frames": 0, "files": 0, "bytes": 0}
    )
    splits: Counter[str] = Counter()
    licenses: Counter[str] = Counter()
    skipped: list[dict[str, str]] = []
    unfit: list[dict[str, str]] = []
    for record in records:
        skipped += record["skipped"]
        unfit += record["unfit"]
        for file in record["files"]:
            _write_checksum(sums, file)
            counts.update(files=1, bytes=file["size_bytes"])
        for sequence in record["written"]:
            facts = sequence["facts"]
            lines.write(f"{json.dumps(facts, ensure_ascii=False)}\n")
            num_frames = len(facts["frame_index"])
            counts.update(sequences=1, masklets=len(facts["objects"]), frames=num_frames)
            splits.update([facts["split"]] if facts["split"] else [])
            licenses.update([_license(facts["attributes"])])
    counts.update({"unfit_masklets": len(unfit)} if unfit else {})
    return {
        "counts": dict(counts),
        "sequences_by_split": dict(splits),
        "sequences_by_license": dict(licenses),
        "skipped": skipped,
        "unfit": unfit,
    }


def _write_checksum(sums: IO[str], file: Mapping[str, Any]) -> None:
    """Write a line that `sha256sum --check` reads."""
    sums.write(f"{file['sha256']}  {file['path']}\n")


def _license(attributes: Mapping[str, str]) -> str:
    found = (value for name, value in attributes.items() if name.lower() in _LICENSES)
    return next(found, "not stated")
