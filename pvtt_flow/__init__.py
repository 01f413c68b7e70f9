"""pvtt_flow: a bucket of product videos in, a dataset of masklets out.

    config = pvtt_flow.load_config("configs/quickstart.yaml", ["output.uri=/data/masklets"])
    summary = pvtt_flow.run(config)
    dataset = pvtt_flow.open_dataset(config.output.uri)

Names in `__all__` are the public API; everything else may change. Importing the package is cheap:
heavy libraries are imported when a function is called.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pvtt_flow.config.schema import RunConfig
    from pvtt_flow.core.profile import Profile
    from pvtt_flow.core.qc import Judged, QcThresholds, judge
    from pvtt_flow.dataset.maintenance.relocate import Relocated
    from pvtt_flow.errors import (
        ClusterError,
        ConfigError,
        DataError,
        PreflightError,
        PvttFlowError,
        StoreError,
    )
    from pvtt_flow.export import ExportOptions
    from pvtt_flow.export.job import Exported, Watcher
    from pvtt_flow.pipeline.plan import Plan
    from pvtt_flow.pipeline.summary import Summary
    from pvtt_flow.readers.snapshot import DatasetSnapshot, Expression
    from pvtt_flow.types import Frame, Masklet, MaskletFrame, Measurements, Prompt, VideoRecord

__version__ = "0.1.0"
__all__ = [
    "ClusterError",
    "ConfigError",
    "DataError",
    "DatasetSnapshot",
    "Frame",
    "Judged",
    "Masklet",
    "MaskletFrame",
    "Measurements",
    "Plan",
    "PreflightError",
    "Profile",
    "Prompt",
    "PvttFlowError",
    "QcThresholds",
    "RunConfig",
    "StoreError",
    "Summary",
    "VideoRecord",
    "decode_mask",
    "export_dataset",
    "judge",
    "load_config",
    "load_profile",
    "open_dataset",
    "overlay",
    "plan",
    "read_frames",
    "relocate",
    "run",
]
_MODULES = {
    "pvtt_flow.config.schema": ("RunConfig",),
    "pvtt_flow.core.profile": ("Profile",),
    "pvtt_flow.core.qc": ("Judged", "QcThresholds", "judge"),
    "pvtt_flow.errors": (
        "ClusterError", "ConfigError", "DataError", "PreflightError", "PvttFlowError", "StoreError",
    ),
    "pvtt_flow.pipeline.plan": ("Plan",),
    "pvtt_flow.pipeline.summary": ("Summary",),
    "pvtt_flow.readers.snapshot": ("DatasetSnapshot",),
    "pvtt_flow.types": (
        "Frame", "Masklet", "MaskletFrame", "Measurements", "Prompt", "VideoRecord",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public type from its module at its first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pvtt_flow' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def load_config(path: str | PathLike[str], overrides: Sequence[str] = ()) -> "RunConfig":
    """Load a YAML config and apply overrides such as `"sampling.stride=2"`.

    Raises ConfigError with the path of each bad value.
    """
    from pvtt_flow.config.loading import load

    return load(Path(path), overrides)


def load_profile(name_or_path: str | PathLike[str]) -> "Profile":
    """Load the profile of a consumer of masks: a shipped one by name, or your own YAML file.

    Raises ConfigError for an unknown name, and with the path of each bad value.
    """
    from pvtt_flow.export.profiles import load_profile as load

    return load(name_or_path)


def plan(config: "RunConfig", *, limit: int | None = None) -> "Plan":
    """Return which videos a run would process, and why; writes nothing.

    Raises PreflightError if weights, input or dataset cannot be read, and StoreError if their store
    does not answer.
    """
    from pvtt_flow.pipeline.run import prepare

    return prepare(config, limit=limit).plan


def run(config: "RunConfig", *, limit: int | None = None) -> "Summary":
    """Process new, changed and failed videos into the dataset; `limit` is a number of videos.

    Runs on the cluster at `$RAY_ADDRESS`, else on this machine, shows its progress, and writes the
    report of the run next to the tables, like `pvtt-flow run`.

    Raises PreflightError if the run cannot start, and StoreError or ClusterError if a store or the
    cluster does not answer or is lost.
    """
    from rich.console import Console

    from pvtt_flow.cli.progress import progress_watcher
    from pvtt_flow.pipeline.run import execute, prepare

    prepared = prepare(config, limit=limit)
    with progress_watcher(Console()) as watcher:
        summary = execute(prepared, watcher)
    if summary.num_planned:
        from pvtt_flow.cli.run_report import write_contact_sheet

        write_contact_sheet(config, summary)
    return summary


def open_dataset(
    uri: str,
    version: int | None = None,
    *,
    at: datetime | None = None,
    include_gone: bool = False,
    videos_where: "Expression | None" = None,
) -> "DatasetSnapshot":
    """Open a dataset for reading: at a version, as of a time, or at the latest version.

    Videos that are gone from their input, and their masklets, are left out of all readers unless
    `include_gone` is true. `videos_where` is an Arrow expression on the columns of `videos`, such
    as `field("height_px") >= 720`; all readers leave out the videos that it does not match, too.

    Raises PreflightError if there is no dataset, no such version or no access, StoreError if the
    store does not answer, and ValueError for a time without a time zone, or for both a version and
    a time.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.readers.snapshot import DatasetSnapshot

    snapshot = open_snapshot(uri, version, at=at)
    return DatasetSnapshot(snapshot, include_gone=include_gone, videos_where=videos_where)


def export_dataset(
    dataset_uri: str,
    format_name: str,
    to: str,
    *,
    watcher: "Watcher | None" = None,
    **options: "Unpack[ExportOptions]",
) -> "Exported":
    """Write masks, boxes and clips of a dataset in a format of `pvtt-flow formats`.

    `options` are those of `pvtt-flow export`. Runs on the Ray cluster at `$RAY_ADDRESS`, else in
    threads of this process. An export that was interrupted goes on with the same call.

    Raises ConfigError and PreflightError before anything is written, StoreError if `to` takes no
    more files.
    """
    import os

    from pvtt_flow.export import export

    if not os.environ.get("RAY_ADDRESS"):
        return export(dataset_uri, format_name, to, watcher=watcher, **options)
    from pvtt_flow.pipeline.ray_session import connect_to_ray
    from pvtt_flow.pipeline.remote_map import map_on_ray

    with connect_to_ray():
        return export(
            dataset_uri, format_name, to, watcher=watcher, map_units=map_on_ray, **options
        )


def relocate(
    dataset_uri: str, old_prefix: str, new_prefix: str, *, dry_run: bool = False
) -> "Relocated":
    """Tell a dataset that its videos have moved from one folder, bucket or prefix to another.

    The uris of the videos and of their inputs change, in one commit; ids and results stay, so that
    the next run finds the videos unchanged. With `dry_run` it only counts.

    Raises PreflightError if there is no dataset, ConfigError if no video is at the old place.
    """
    from pvtt_flow.dataset.history import open_snapshot
    from pvtt_flow.dataset.maintenance.relocate import relocate as relocate_rows

    uri = open_snapshot(dataset_uri).uri
    return relocate_rows(uri, old_prefix, new_prefix, dry_run=dry_run)


def decode_mask(rle: str, height_px: int, width_px: int) -> "NDArray[np.bool_]":
    """Decode a mask of the `masklets` table (COCO compressed RLE) to bool (H, W)."""
    from pvtt_flow.core.rle import decode

    return decode(rle, height_px, width_px)


def read_frames(
    uri: str, frame_indices: Iterable[int], *, anonymous: bool = False
) -> "dict[int, Frame]":
    """Read frames of a video by index, in display orientation; all of them are held in memory.

    `anonymous` reads a public bucket without credentials.

    Raises DataError if the video cannot be read or has no such frame.
    """
    from pvtt_flow.storage.streams import open_binary
    from pvtt_flow.video.read import read_frames_at_indices

    with open_binary(uri, anonymous=anonymous) as file:
        return read_frames_at_indices(file, frame_indices)


def overlay(frame: "Frame", masklets: "Iterable[Masklet]") -> "NDArray[np.uint8]":
    """Draw the masks, boxes and labels of masklets on a frame, uint8 (H, W, 3) RGB.

    Raises ValueError for a mask of another size than the frame.
    """
    from pvtt_flow.review.overlay import objects_on
    from pvtt_flow.review.overlay import overlay as draw

    return draw(frame.rgb, objects_on(masklets, frame.frame_index))
