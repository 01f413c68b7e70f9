"""A list of videos in a file: uri, and optionally an id, prompts and shots.

CSV with a header, JSON lines, or Parquet. `prompts` is a list of `ManifestPrompt`, `shots` one of
`[start_frame, stop_frame]`: JSON text in CSV, native or JSON text elsewhere. Relative uris start at
the manifest's own folder.
"""

import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

from pvtt_flow.core import ids
from pvtt_flow.params import Params
from pvtt_flow.storage.frame_folders.folders import strip_fps
from pvtt_flow.storage.manifest_rows import manifest_error, read_rows
from pvtt_flow.storage.uris import normalize_uri
from pvtt_flow.types import Prompt

ENDINGS = (".csv", ".jsonl", ".ndjson", ".parquet")
MAX_PROMPTS = 1_000
MAX_SHOTS = 10_000
_MAX_QUOTED_CHARS = 80


class ManifestPrompt(Params):
    """One instruction for the tracker, in display pixels; needs a box, points or a mask."""

    object_id: int | None = Field(default=None, ge=0)
    """Prompts with the same id are about one object; without an id, each prompt is its own."""
    frame: int | None = Field(default=None, ge=0)
    """Index of the frame, from 0, which is the default."""
    box_xyxy: list[float] | None = Field(default=None, min_length=4, max_length=4)
    points_xy: list[Annotated[list[float], Field(min_length=2, max_length=2)]] | None = None
    point_labels: list[Annotated[int, Field(ge=0, le=1)]] | None = None
    """1 on the object (the default), 0 not on it."""
    mask_rle: str | None = None
    """COCO compressed RLE counts at display size."""
    label: str | None = None
    correction: bool | None = None
    """Whether points or a box correct what was tracked up to `frame`, which must then be given."""


def _json_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError as error:
        raise ValueError(f"expected JSON text ({error})") from None


FrameInterval = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]
"""`[start_frame, stop_frame]`: frames from 0, the second one excluded."""


class ManifestRow(Params):
    """One line of a manifest."""

    uri: str = Field(min_length=1)
    """Ends in `/` for a folder of frames, in `/#fps=24` for one with a rate of its own."""
    id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Becomes the video_id."""
    prompts: Annotated[
        Annotated[list[ManifestPrompt], Field(max_length=MAX_PROMPTS)] | None,
        BeforeValidator(_json_text),
    ] = None
    shots: Annotated[
        Annotated[list[FrameInterval], Field(min_length=1, max_length=MAX_SHOTS)] | None,
        BeforeValidator(_json_text),
    ] = None
    """In place of looking for cuts; frames between them are left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A video that a manifest names."""

    uri: str
    video_id: str
    prompts: tuple[Prompt, ...]
    shots: tuple[tuple[int, ...], ...]


def is_manifest(uri: str) -> bool:
    """Whether the uri's ending is a manifest's."""
    return uri.lower().endswith(ENDINGS)


def read_manifest(uri: str) -> list[Entry]:
    """Every row, checked. Raises ConfigError with the line, the key, what was expected and found;
    PreflightError when the file cannot be read.
    """
    uri = normalize_uri(uri)
    entries: list[Entry] = []
    seen: dict[str, str] = {}
    for where, raw in read_rows(uri):
        entry = _entry(uri, where, raw)
        for what in (f"uri {entry.uri!r}", f"id {entry.video_id!r}"):
            if what in seen:
                raise manifest_error(uri, where, f"the {what} is already on {seen[what]}")
            seen[what] = where
        entries.append(entry)
    if not entries:
        raise manifest_error(uri, "", "expected at least one row, found none")
    return entries


def _entry(manifest: str, where: str, raw: dict[str, Any]) -> Entry:
    try:
        row = ManifestRow.model_validate(raw)
    except ValidationError as error:
        raise manifest_error(manifest, where, _described(error.errors()[0])) from None
    try:
        prompts = _prompts(row.prompts or [])
    except ValueError as error:
        raise manifest_error(manifest, where, f"prompts: {error}") from None
    try:
        shots = _shots(row.shots or [])
    except ValueError as error:
        raise manifest_error(manifest, where, f"shots: {error}") from None
    uri = _resolved(manifest, row.uri)
    return Entry(uri, row.id or ids.video_id(strip_fps(uri)), prompts, shots)


def _prompts(rows: list[ManifestPrompt]) -> tuple[Prompt, ...]:
    """Raises ValueError when a prompt has nothing to go by, only some have an object_id, or an
    object has nothing but corrections.
    """
    unnamed = [row.object_id is None for row in rows]
    if any(unnamed) and not all(unnamed):
        raise ValueError("expected an object_id on every prompt or on none, found some")
    prompts = tuple(_prompt(row, index) for index, row in enumerate(rows))
    started = {prompt.object_id for prompt in prompts if not prompt.correction}
    for prompt in prompts:
        if prompt.object_id not in started:
            raise ValueError(
                f"expected a prompt that is no correction for object {prompt.object_id} to start "
                "from, found only corrections"
            )
    return prompts


def _shots(rows: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    """Raises ValueError for an empty interval, and for one that begins before another has ended."""
    ended = 0
    for start, stop in rows:
        if stop <= start:
            raise ValueError(
                f"expected [start_frame, stop_frame] with start < stop, found {[start, stop]}"
            )
        if start < ended:
            raise ValueError(
                f"expected shots in order that do not overlap, found {[start, stop]} after one "
                f"that ends at {ended}"
            )
        ended = stop
    return tuple(map(tuple, rows))


def _prompt(row: ManifestPrompt, index: int) -> Prompt:
    points = tuple(map(tuple, row.points_xy or ()))
    if row.box_xyxy and (row.box_xyxy[2] <= row.box_xyxy[0] or row.box_xyxy[3] <= row.box_xyxy[1]):
        raise ValueError(f"expected box_xyxy with x0 < x1 and y0 < y1, found {row.box_xyxy}")
    if row.correction and row.frame is None:
        raise ValueError("expected the frame of a correction, found none")
    return Prompt(
        object_id=index if row.object_id is None else row.object_id,
        frame_index=row.frame or 0,
        label=row.label or "product",
        box_xyxy=None if row.box_xyxy is None else tuple(row.box_xyxy),
        points_xy=points,
        point_labels=(1,) * len(points) if row.point_labels is None else tuple(row.point_labels),
        mask_rle=row.mask_rle,
        correction=bool(row.correction),
        origin="manifest",
    )


def _described(error: ErrorDetails) -> str:
    """`prompts[0].frame: expected a valid integer, found 'x'`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    found = repr(error["input"])
    found = found if len(found) <= _MAX_QUOTED_CHARS else found[:_MAX_QUOTED_CHARS] + "…"
    if error["type"] == "missing":
        return f"{path[1:]}: expected a value, found none"
    if error["type"] == "extra_forbidden":
        model = ManifestPrompt if "[" in path else ManifestRow
        return f"{path[1:]}: expected one of {', '.join(model.model_fields)}, found this key"
    rule = error["msg"].replace("Input should be ", "expected ").removeprefix("Value error, ")
    return f"{path[1:]}: {rule}, found {found}"


def _resolved(manifest: str, uri: str) -> str:
    """Absolute; a relative uri starts at the manifest's folder, wherever that is.

    A slash at the end stays: it says that the video is a folder of frames.
    """
    slash = "/" if uri.endswith("/") else ""
    if "://" in uri or uri.startswith(("/", "~")):
        return normalize_uri(uri) + slash
    scheme, separator, path = manifest.rpartition("://")
    return f"{scheme}{separator}{posixpath.normpath(PurePosixPath(path).parent / uri)}{slash}"
