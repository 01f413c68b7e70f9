"""Commands on the videos of a dataset: preview, judge, retry and clear."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.options import (
    DatasetUri,
    Json,
    Video,
    console,
    find_video,
    print_json,
    report,
)
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pvtt_flow.readers.snapshot import DatasetSnapshot
    from pvtt_flow.types import VideoRecord

Videos = Annotated[
    list[str] | None, typer.Argument(metavar="[VIDEO]...", help="Ids, or parts of ids or uris.")
]


def preview(
    dataset: DatasetUri,
    video: Video,
    out: Annotated[Path, typer.Option(help="Folder for the mp4 and the picture.")] = Path(
        "previews"
    ),
    anonymous: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--anonymous", help="Read a public bucket without credentials."),
    ] = False,
) -> None:
    """Draw the masks of one video into an mp4 and a contact sheet."""
    from pvtt_flow import open_dataset
    from pvtt_flow.cli.video_preview import write_video_preview
    from pvtt_flow.storage.filesystems import read_anonymously

    opened = open_dataset(dataset, include_gone=True)
    read_anonymously(anonymous=anonymous, except_for=[opened.uri])
    write_video_preview(opened, find_video(opened, video), out, console())


def judge(
    dataset: DatasetUri,
    config: Annotated[
        Path | None,
        typer.Option(help="Config with the thresholds; default: those of the last verdicts."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="qc.KEY=VALUE", help="Override a threshold; repeatable."),
    ] = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Judge all masklets again by their stored measurements.

    Starts from the thresholds of the last run or `judge`, and prints those that are not defaults.
    Writes a new version of the dataset. Needs neither the videos nor a model.
    """
    from pvtt_flow.cli.output import changes_as_rows, changes_by_name, counts_table
    from pvtt_flow.cli.thresholds import as_text
    from pvtt_flow.config.loading import load, load_thresholds
    from pvtt_flow.core import qc
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.rejudge import rejudge
    from pvtt_flow.pipeline.thresholds import differences, thresholds_in_use

    changed_keys, uri, defaults = overrides or [], open_snapshot(dataset).uri, qc.QcThresholds()
    in_use = thresholds_in_use(uri)
    thresholds = (
        load_thresholds(changed_keys, in_use[0] if in_use else defaults)
        if config is None
        else load(config, changed_keys).qc
    )
    rejudged = rejudge(
        uri,
        lambda measured, tracker: qc.judge(measured, thresholds, tracker),
        {"thresholds": thresholds.model_dump(mode="json", exclude_defaults=True)},
        always=in_use != [thresholds],
    )
    if as_json:
        print_json(
            {
                "version": rejudged.version,
                "masklets": rejudged.num_masklets,
                "thresholds": thresholds.model_dump(mode="json"),
                "verdicts": changes_as_rows(rejudged.changes),
            }
        )
        return
    others = as_text(differences(thresholds, defaults))
    console().print(f"thresholds: {others or 'the defaults'}", soft_wrap=True)
    changes = changes_by_name(rejudged.changes) or {"none": 0}
    console().print(counts_table("verdicts changed", changes))
    console().print(f"{rejudged.num_masklets} masklets judged; version {rejudged.version}")


def retry(
    dataset: DatasetUri,
    videos: Videos = None,
    kind: Annotated[
        str | None, typer.Option(help="Videos that failed in this way, for example unreadable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every failed video.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Let the next run process failed videos again.

    Failed and quarantined videos get all their attempts back.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.maintenance import row_updates
    from pvtt_flow.dataset.queries import list_failed_or_gone_videos

    if not videos and kind is None and not every:
        raise ConfigError("retry must have VIDEO, --kind or --all, got none of them")
    opened = open_dataset(dataset, include_gone=True)
    records = _named_videos(opened, videos or []) or list_failed_or_gone_videos(
        opened.videos(), failed=True
    )
    failed = [r for r in records if r.failure_kind is not None and kind in (None, r.failure_kind)]
    ids = [record.video_id for record in failed]
    version = row_updates.retry(opened.uri, ids) if ids else opened.version
    done = f"{len(ids)} videos will be processed again; version {version}"
    sentence = done if ids else "no failed video matches"
    report(sentence, {"version": version, "video_ids": ids}, as_json=as_json)


def clear(
    dataset: DatasetUri,
    videos: Videos = None,
    gone: Annotated[  # noqa: FBT002
        bool, typer.Option("--gone", help="Every video that is no longer in its input.")
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Delete videos and their masklets from a dataset.

    The next run processes those that are still in its input again.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.maintenance import row_updates
    from pvtt_flow.dataset.queries import list_failed_or_gone_videos

    if bool(videos) == gone:
        raise ConfigError(
            f"clear must have either VIDEO or --gone, got {'both' if gone else 'neither'}"
        )
    opened = open_dataset(dataset, include_gone=True)
    records = _named_videos(opened, videos or []) or list_failed_or_gone_videos(
        opened.videos(), gone=True
    )
    ids = [record.video_id for record in records]
    version = row_updates.forget(opened.uri, ids) if ids else opened.version
    num_masklets = sum(record.num_masklets for record in records)
    done = (
        f"{len(ids)} videos and their {num_masklets} masklets deleted; version {version} "
        f"(undo with pvtt-flow restore {dataset} {version - 1})"
    )
    sentence = done if ids else "no video is gone from its input"
    facts = {"version": version, "video_ids": ids, "masklets": num_masklets}
    report(sentence, facts, as_json=as_json)


def _named_videos(dataset: "DatasetSnapshot", names: "Sequence[str]") -> "list[VideoRecord]":
    """Return the videos with these names, each of them once."""
    records = [find_video(dataset, name) for name in names]
    return list({record.video_id: record for record in records}.values())
