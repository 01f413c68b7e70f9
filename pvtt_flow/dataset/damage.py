"""Lost and damaged files of a dataset: tell them from faults of the store, and name the file."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.dataset as ds

from pvtt_flow.errors import DamageError, PvttFlowError
from pvtt_flow.storage.arrow_files import uri_on
from pvtt_flow.storage.store_errors import error_name, is_transient
from pvtt_flow.storage.uris import redact_uri


class DamagedFileError(DamageError):
    """Loss or damage of a file of a table."""

    table = ""
    """Name of the table."""
    path = ""
    """Path of the file in the table."""


def is_damage(error: BaseException) -> bool:
    """Return whether an error of reading a file says that it is lost or has other bytes."""
    if isinstance(error, FileNotFoundError):
        return "NoSuchBucket" not in error_name(error)
    # Arrow's errors about the content have no number of the operating system.
    is_arrows = type(error) is OSError and error.errno is None and not is_transient(error)
    return is_arrows or isinstance(error, pa.ArrowException | UnicodeDecodeError)


def damaged(root: str, path: str, cause: BaseException) -> DamagedFileError:
    """Return the error about the file at `path` of the table at `root`."""
    is_lost = isinstance(cause, FileNotFoundError)
    found = "must exist, got none" if is_lost else "must be as it was written, got other bytes"
    dataset, _, table = root.rpartition("/")
    error = DamagedFileError(
        f"the file {redact_uri(f'{root}/{path}')} {found}; "
        f"run `pvtt-flow check {redact_uri(dataset)}`"
    )
    error.table, error.path = table, path
    return error


@contextmanager
def naming_damage(
    files: Iterable[ds.ParquetFileFragment], columns: Collection[str] | None = None
) -> Iterator[None]:
    """Turn an error of a scan inside into a DamagedFileError, if one of its files is the cause.

    Arrow's errors do not name the file, so after an error the columns are read file by file.
    """
    try:
        yield
    except PvttFlowError:
        raise
    except Exception as error:
        for file in files:
            if cause := _damage_of(file, columns):
                raise damaged(*_place_of(file), cause) from error
        raise


def _damage_of(file: ds.ParquetFileFragment, columns: Collection[str] | None) -> Exception | None:
    try:
        names = file.physical_schema.names
        for _ in file.to_batches(columns=[n for n in names if columns is None or n in columns]):
            pass
    except Exception as error:  # noqa: BLE001  Arrow's errors have many classes
        return error if is_damage(error) else None
    return None


def _place_of(file: ds.ParquetFileFragment) -> tuple[str, str]:
    """Return the uri of a file's table, and its path in the table."""
    root, _, path = uri_on(file.filesystem, file.path).rpartition("/")
    parent, _, folder = root.rpartition("/")
    return (parent, f"{folder}/{path}") if "=" in folder else (root, path)
