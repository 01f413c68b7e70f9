"""Entries of the Delta logs: find those that are lost or damaged.

An entry is a file with a line of JSON for each action. delta-rs does not name the entry that it
cannot read, and takes an entry that was cut after a line for a whole one.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from deltalake.exceptions import DeltaError, TableNotFoundError

from pvtt_flow.dataset.checkpoints import damaged_checkpoints
from pvtt_flow.dataset.tables import LOG
from pvtt_flow.errors import DamageError
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.store_errors import is_transient
from pvtt_flow.storage.uris import redact_uri

# Threads mostly wait for the store.
_THREADS = 8


@contextmanager
def naming_entries(uri: str, table: str) -> Iterator[None]:
    """Turn an error of delta-rs inside into a DamageError, if a file of the log is the cause."""
    try:
        yield
    except TableNotFoundError:
        raise
    except DeltaError as error:
        if is_transient(error):
            raise
        if entry := next(damaged_entries(uri, table), None):
            raise DamageError(
                f"the log entry {redact_uri(entry)} must be as it was written, got another "
                f"or none; run `pvtt-flow check {redact_uri(uri)}`"
            ) from error
        if checkpoint := next(damaged_checkpoints(uri, table), None):
            raise DamageError(
                f"the checkpoint {redact_uri(checkpoint.uri)} must be as it was written, "
                f"got other bytes; {checkpoint.remedy}"
            ) from error
        raise


def damaged_entries(
    uri: str, table: str, on_read: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Yield the uri of each entry of a table's log that is lost or damaged, oldest first.

    Old entries may have been deleted after a checkpoint. `on_read` is called after each entry.
    """
    files, folder = filesystem(f"{uri}/{table}/{LOG}")
    paths = with_retries(partial(files.ls, folder, detail=False))
    names = [str(path).rpartition("/")[2] for path in paths]
    there = {int(name[:20]) for name in names if name[:20].isdigit() and name[20:] == ".json"}
    has_checkpoint = any(".checkpoint." in name for name in names)
    versions = range(min(there, default=0) if has_checkpoint else 0, max(there, default=0) + 1)

    def is_whole(version: int) -> bool:
        read = partial(files.cat_file, f"{folder}/{version:020}.json")
        return version in there and _is_entry(with_retries(read), table, version)

    with ThreadPoolExecutor(_THREADS) as pool:
        for version, whole in zip(versions, pool.map(is_whole, versions), strict=True):
            on_read()
            if not whole:
                yield f"{uri}/{table}/{LOG}/{version:020}.json"


def _is_entry(data: bytes, table: str, version: int) -> bool:
    try:
        actions: list[Any] = [json.loads(line) for line in data.decode().splitlines() if line]
    except ValueError:
        return False
    if not all(isinstance(action, dict) for action in actions):
        return False
    by_name = {name: body for action in actions for name, body in action.items()}
    wanted = {"commitInfo"} if version else {"commitInfo", "protocol", "metaData"}
    if table == "videos" and "commit_id" in (by_name.get("commitInfo") or {}):
        wanted.add("txn")  # each of our commits ends with the version of `masklets`
    return wanted <= by_name.keys()
