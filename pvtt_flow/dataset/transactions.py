"""Take both tables forward together, whoever else is writing: no locks, no clocks.

The log of `videos` is the dataset's one line of versions; each version names the version of
`masklets` that goes with it (as a Delta application transaction, which checkpoints keep). A step:

    1. read `videos` at its latest version v, and `masklets` as v names it
    2. commit to `masklets`: what 1 read, with the step's changes
    3. commit to `videos`, as v + 1, which names the version of 2

Each commit lands as the very next version of what was read, or not at all. Whoever loses one to
another writer starts again from 1. What 2 committed without a 3, by a loser or by a process that
died, is named by no version of the dataset: no reader sees it, and no step builds on it.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from getpass import getuser
from socket import gethostname
from typing import Any, Literal
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from pvtt_flow.dataset.delta import LOG, open_table
from pvtt_flow.dataset.file_actions import NOTHING, Edit, between, files_of, partition_of, then
from pvtt_flow.dataset.tables import BUCKET, KEY, MASKLETS, SCHEMAS, VIDEOS
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.files import read_bytes
from pvtt_flow.storage.store_errors import describe, is_transient
from pvtt_flow.storage.uris import redact_uri

StepName = Literal[
    "run", "gone", "retry", "clear", "judge", "compact", "restore", "vacuum", "upgrade"
]
# In the log of `videos`, beside the version of `masklets`: see `Step.oldest`.
OLDEST = "oldest"
# Each is a lost race or an answer that did not come, so that many in a row are no accident.
_MAX_TRIES = 50
_PAUSE_S, _MAX_PAUSE_S = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Base:
    """Both tables as one version of the dataset has them."""

    videos: DeltaTable
    masklets: DeltaTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From one version to the next."""

    name: StepName
    videos: Edit = NOTHING
    masklets: Edit = NOTHING
    notes: Mapping[str, Any] = field(default_factory=dict)
    """For the log: whose run, how many, with which settings."""
    oldest: int | None = None
    """From now on no version before this one can be read."""


def _whoami() -> str:
    try:
        user = getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = str(os.getuid())
    return f"{user}@{gethostname()}"


class _OutrunError(Exception):
    """Another writer has committed the version that this one was to be."""


def advance(uri: str, make_step: Callable[[Base], Step | None]) -> int:
    """Commit the step that `make_step` makes of the latest version; returns the new version.

    It is made again whenever another writer gets in between, and may then be None: there is
    nothing left to do. Raises StoreError when the dataset cannot be written.
    """
    cause: BaseException | None = None
    for attempt in range(_MAX_TRIES):
        base = base_of(uri)
        step = make_step(base)
        if step is None:
            return int(base.videos.version())
        try:
            named = _commit_masklets(uri, base.masklets, step)
            return _commit_videos(uri, base.videos, step, named)
        except _OutrunError as outrun:
            cause = outrun.__cause__
        pause_s = min(_PAUSE_S * 2**attempt, _MAX_PAUSE_S)
        time.sleep(random.uniform(0, pause_s))  # noqa: S311 (writers must not keep in step)
    raced = "others got in between: run fewer at once, or raise $.run.commit_interval_s"
    reason = describe(cause, uri) if cause is not None and is_transient(cause) else raced
    raise StoreError(
        f"{KEY}: expected to commit to {redact_uri(uri)}, but {_MAX_TRIES} times {reason}"
    ) from cause


def base_of(uri: str, version: int | None = None) -> Base:
    """Both tables at a version of the dataset, or the latest."""
    videos = open_table(uri, VIDEOS, version)
    return Base(videos, open_table(uri, MASKLETS, named_version(videos)))


def named_version(videos: DeltaTable) -> int:
    """The version of `masklets` that goes with `videos`; 0, the empty one, before any commit."""
    return int(videos.transaction_version(MASKLETS) or 0)


def oldest_version(videos: DeltaTable) -> int:
    """The first version that can be read."""
    return int(videos.transaction_version(OLDEST) or 0)


def _commit_masklets(uri: str, named: DeltaTable, step: Step) -> int:
    head = open_table(uri, MASKLETS)
    edit = step.masklets
    if head.version() != named.version():
        edit = then(between(head, named), edit)
    if not edit:
        return int(head.version())
    return _swap(uri, MASKLETS, head, edit, step, ())


def _commit_videos(uri: str, videos: DeltaTable, step: Step, masklets_version: int) -> int:
    known = [Transaction(MASKLETS, masklets_version)]
    if step.oldest is not None:
        known.append(Transaction(OLDEST, step.oldest))
    return _swap(uri, VIDEOS, videos, step.videos, step, known)


def _swap(
    uri: str,
    name: str,
    table: DeltaTable,
    edit: Edit,
    step: Step,
    known: Sequence[Transaction],
) -> int:
    """Commit the next version of the table as it was read; returns it, or raises _OutrunError."""
    version, mark = int(table.version()) + 1, uuid4().hex
    schema = SCHEMAS[name]
    notes = {**step.notes, "step": step.name, "by": _whoami(), "commit_id": mark}
    # New columns are only taken with all files anew, which removes the others by itself.
    anew = table.schema() != Schema.from_arrow(schema)
    try:
        table.create_write_transaction(
            [*([] if anew else _removals(table, edit)), *_additions(edit)],
            "overwrite" if anew else "append",
            schema,
            partition_by=[BUCKET] if BUCKET in schema.names else [],
            commit_properties=CommitProperties(
                custom_metadata=notes, max_commit_retries=0, app_transactions=list(known)
            ),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except (DeltaError, OSError) as error:
        _look(f"{uri}/{name}/{LOG}/{version:020}.json", mark, error)
    return version


def _look(entry: str, mark: str, error: Exception) -> None:
    """Nothing when the log's entry is ours after all: an answer can be lost on its way."""
    written = read_bytes(entry)
    if written is None and not is_transient(error):
        raise StoreError(f"{KEY}: expected to commit, but {describe(error, entry)}") from error
    if written is None or mark.encode() not in written:
        raise _OutrunError from error


def _additions(edit: Edit) -> Iterator[AddAction]:
    return (replace(file, data_change=not edit.same_rows) for file in edit.added)


def _removals(table: DeltaTable, edit: Edit) -> Iterator[RemoveAction]:
    if not edit.removed:
        return
    now_ms = time.time_ns() // 1_000_000
    for file in files_of(table, edit.removed).to_pylist():
        yield RemoveAction(
            file["path"],
            data_change=not edit.same_rows,
            deletion_timestamp=now_ms,
            size=file["size_bytes"],
            partition_values=partition_of(file),
        )
