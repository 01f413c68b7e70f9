"""Transactions over both tables, with optimistic concurrency: no locks and no clocks.

The log of `videos` gives the dataset's versions. Each version names the version of `masklets` that
belongs to it, as a Delta application transaction, which checkpoints keep. A transaction:

    1. read the snapshot: `videos` at its latest version v, and `masklets` as v names it
    2. commit to `masklets`: the table of 1 with the transaction's changes
    3. commit to `videos`, as v + 1, which names the version of 2

Each commit becomes the version after the one that was read, or fails. A writer that loses to
another one starts again from 1. If 3 does not follow 2, because the writer lost or died, no version
of the dataset names the masklets of 2: no reader sees them, and no transaction builds on them.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from getpass import getuser
from socket import gethostname
from typing import Any, Literal
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake import Transaction as AppTransaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from pvtt_flow.dataset.delta import open_table
from pvtt_flow.dataset.file_actions import (
    NO_ACTIONS,
    FileActions,
    actions_between,
    compose,
    files_of,
    partition_of,
)
from pvtt_flow.dataset.snapshot import Snapshot, snapshot_at
from pvtt_flow.dataset.tables import BUCKET, KEY, LOG, MASKLETS, OLDEST, SCHEMAS, VIDEOS
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.files import read_bytes
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.uris import redact_uri

Operation = Literal[
    "run", "gone", "renew", "relocate", "retry", "clear", "judge", "compact", "restore", "repair",
    "vacuum", "upgrade",
]  # fmt: skip
# A try fails by a conflict or by a lost answer of the store; fifty in a row are no accident.
_MAX_TRIES = 50
_PAUSE_S, _MAX_PAUSE_S = 0.05, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Change from one version of the dataset to the next."""

    operation: Operation
    videos: FileActions = NO_ACTIONS
    masklets: FileActions = NO_ACTIONS
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Entries for the log: the run, counts, settings."""
    oldest: int | None = None
    """First version that stays readable; None leaves it as it is."""


def _whoami() -> str:
    try:
        user = getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = str(os.getuid())
    return f"{user}@{gethostname()}"


class _CommitConflictError(Exception):
    """Conflict: another writer committed this version first."""


def commit(uri: str, make_transaction: Callable[[Snapshot], Transaction | None]) -> int:
    """Commit the transaction that `make_transaction` builds on the latest snapshot.

    Returns the new version. After a conflict the transaction is built again, on the snapshot that
    won. It may be None if there is nothing to change; then the latest version is returned.

    Raises StoreError if the dataset cannot be written.
    """
    tries = Retrying(
        retry=retry_if_exception_type(_CommitConflictError),
        # Random, so that writers do not collide again.
        wait=wait_random_exponential(multiplier=_PAUSE_S, max=_MAX_PAUSE_S),
        stop=stop_after_attempt(_MAX_TRIES),
        reraise=True,
    )
    try:
        return tries(_commit_once, uri, make_transaction)
    except _CommitConflictError as conflict:
        cause = conflict.__cause__
        reason = (
            describe(cause, uri)
            if cause is not None and is_transient(cause)
            else "other writers committed first; start fewer runs at once or raise "
            "$.run.commit_interval_s"
        )
        raise StoreError(
            f"{KEY}: a commit to {redact_uri(uri)} must succeed, got {_MAX_TRIES} failures: "
            f"{reason}"
        ) from cause


def _commit_once(uri: str, make_transaction: Callable[[Snapshot], Transaction | None]) -> int:
    snapshot = snapshot_at(uri)
    transaction = make_transaction(snapshot)
    if transaction is None:
        return snapshot.version
    named = _commit_masklets(uri, snapshot, transaction)
    return _commit_videos(uri, snapshot, transaction, named)


def oldest_version(videos: DeltaTable) -> int:
    """Return the first version that can be read."""
    return int(videos.transaction_version(OLDEST) or 0)


def _commit_masklets(uri: str, snapshot: Snapshot, transaction: Transaction) -> int:
    named, head = snapshot.masklets, open_table(uri, MASKLETS)
    actions = transaction.masklets
    if head.version() != named.version():
        actions = compose(actions_between(head, named), actions)
    if not actions:
        return int(head.version())
    schema = _columns_after(transaction, named, MASKLETS)
    return _commit_if_unchanged(uri, MASKLETS, head, schema, actions, transaction, ())


def _commit_videos(
    uri: str, snapshot: Snapshot, transaction: Transaction, masklets_version: int
) -> int:
    videos = snapshot.videos
    app_transactions = [AppTransaction(MASKLETS, masklets_version)]
    if transaction.oldest is not None:
        app_transactions.append(AppTransaction(OLDEST, transaction.oldest))
    schema = _columns_after(transaction, videos, VIDEOS)
    return _commit_if_unchanged(
        uri, VIDEOS, videos, schema, transaction.videos, transaction, app_transactions
    )


def _columns_after(transaction: Transaction, table: DeltaTable, name: str) -> Schema:
    """Return the columns after a transaction: only an upgrade, which rewrites all rows, has new
    ones."""
    is_upgrade = transaction.operation == "upgrade"
    return Schema.from_arrow(SCHEMAS[name]) if is_upgrade else table.schema()


def _commit_if_unchanged(
    uri: str,
    name: str,
    table: DeltaTable,
    schema: Schema,
    actions: FileActions,
    transaction: Transaction,
    app_transactions: Sequence[AppTransaction],
) -> int:
    """Commit the version after the one that was read, and return it.

    Raises _CommitConflictError if another writer committed it first.
    """
    version, commit_id = int(table.version()) + 1, uuid4().hex
    notes = {
        **transaction.notes,
        "step": transaction.operation,
        "by": _whoami(),
        "commit_id": commit_id,
    }
    # Delta takes a new schema only with an overwrite, which removes all other files by itself.
    changes_schema = table.schema() != schema
    try:
        table.create_write_transaction(
            [*([] if changes_schema else _removals(table, actions)), *_additions(actions)],
            "overwrite" if changes_schema else "append",
            schema,
            partition_by=[BUCKET] if name == MASKLETS else [],
            commit_properties=CommitProperties(
                custom_metadata=notes, max_commit_retries=0, app_transactions=list(app_transactions)
            ),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except (DeltaError, OSError) as error:
        _confirm_commit(f"{uri}/{name}/{LOG}/{version:020}.json", commit_id, error)
    return version


def _confirm_commit(entry: str, commit_id: str, error: Exception) -> None:
    """Return if the log entry is ours: a commit may succeed and its answer be lost.

    Raises _CommitConflictError if the entry is missing or another writer's, StoreError if the
    error is a permanent one of the store.
    """
    written = read_bytes(entry)
    if written is None and not is_transient(error):
        raise StoreError(f"{KEY}: a commit must succeed, but {describe(error, entry)}") from error
    if written is None or commit_id.encode() not in written:
        raise _CommitConflictError from error


def _additions(actions: FileActions) -> Iterator[AddAction]:
    return (replace(file, data_change=not actions.same_rows) for file in actions.added)


def _removals(table: DeltaTable, actions: FileActions) -> Iterator[RemoveAction]:
    if not actions.removed:
        return
    now_ms = time.time_ns() // 1_000_000
    for file in files_of(table, actions.removed).to_pylist():
        yield RemoveAction(
            file["path"],
            data_change=not actions.same_rows,
            deletion_timestamp=now_ms,
            size=file["size_bytes"],
            partition_values=partition_of(file),
        )
