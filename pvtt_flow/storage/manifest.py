"""Read a manifest: a list of videos, each with a uri and optionally an id, prompts and shots.

Formats: CSV with a header, JSON lines, or Parquet. `prompts` is a list of `ManifestPrompt`, and
`shots` a list of `[start_frame, stop_frame]`: as JSON text in CSV, native or JSON text elsewhere.
Relative uris start at the manifest's folder. Other columns are attributes of the video, as text.
"""

import operator
import posixpath
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json

from pvtt_flow.core import ids, rle
from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.params import Params, broken_rule
from pvtt_flow.storage.filesystems import filesystem, preflight
from pvtt_flow.storage.manifest_rows import KEY, manifest_error, read_rows
from pvtt_flow.storage.manifest_values import attributes_of, integral, is_null, number_as_text
from pvtt_flow.storage.uris import (
    HTTP,
    expand_user,
    normalize_uri,
    redact_uri,
    store_of,
    uri_without_signature,
)
from pvtt_flow.storage.video_names import name_from, video_uri
from pvtt_flow.types import AddProducts, Prompt

EXTENSIONS = (".csv", ".jsonl", ".ndjson", ".parquet")
# A file with another extension is a video if it is named in full, but none of these can be one.
_OTHER_LISTS = (".json", ".tsv", ".xlsx", ".csv.gz", ".json.gz", ".jsonl.gz", ".ndjson.gz")
MAX_PROMPTS = 1_000
MAX_SHOTS = 10_000
_MAX_QUOTED_CHARS = 80
# Tables hold 64 bits; no video has as many frames or objects as 32.
_MAX_INT = (1 << 31) - 1
_BUCKETS = ("s3", "s3a", "gs", "gcs")


Integer = Annotated[int, BeforeValidator(integral)]


def _mask_text(value: object) -> object:
    """Return COCO's form of a mask, given as an object or as its JSON text, as text."""
    if isinstance(value, str) and value.startswith("{"):
        value = _json_text(value)
    return rle.to_text(value) if isinstance(value, dict) else value


class ManifestPrompt(Params):
    """Prompt for the tracker, in display pixels; needs a box, points or a mask."""

    object_id: Integer | None = Field(default=None, ge=0, le=_MAX_INT)
    """Id of the object; prompts with the same id belong to one object. Default: a new object."""
    frame: Integer | None = Field(default=None, ge=0, le=_MAX_INT)
    """Index of the frame, from 0. Default: 0."""
    box_xyxy: list[float] | None = Field(default=None, min_length=4, max_length=4)
    """Box around the object: x0, y0, x1, y1."""
    points_xy: list[Annotated[list[float], Field(min_length=2, max_length=2)]] | None = None
    """Points x, y."""
    point_labels: list[Annotated[Integer, Field(ge=0, le=1)]] | None = None
    """Label of each point: 1 on the object (default), 0 not on it."""
    mask_rle: Annotated[str | None, BeforeValidator(_mask_text)] = None
    """Mask of the object at display size, as COCO has it: `{"size": [height, width], "counts":
    ...}`, whose size is compared with the video's, or its compressed counts alone."""
    label: str | None = None
    """Class name of the object. Default: product."""
    correction: bool | None = None
    """True: points or a box correct the tracked mask on `frame`, which is then required."""

    @model_validator(mode="before")
    @classmethod
    def _drop_missing(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if not is_null(value)}


def _json_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return from_json(value)
    except ValueError as error:
        raise ValueError(f"must be JSON text ({error})") from None


FrameInterval = Annotated[
    list[Annotated[Integer, Field(ge=0, le=_MAX_INT)]], Field(min_length=2, max_length=2)
]
"""`[start_frame, stop_frame]`, counted from 0; `stop_frame` is excluded."""


class ManifestRow(Params):
    """Row of a manifest."""

    uri: str = Field(min_length=1)
    """Uri of the video; it ends in `/` for a folder of frames, in `/#fps=24` to set its rate."""
    id: Annotated[str, BeforeValidator(number_as_text)] | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
    )
    """The video_id. Default: derived from the uri, as it is written here."""
    prompts: Annotated[
        Annotated[list[ManifestPrompt], Field(max_length=MAX_PROMPTS)] | None,
        BeforeValidator(_json_text),
    ] = None
    """Prompts of all objects of the video."""
    shots: Annotated[
        Annotated[list[FrameInterval], Field(min_length=1, max_length=MAX_SHOTS)] | None,
        BeforeValidator(_json_text),
    ] = None
    """Shots, in place of shot detection; frames outside them are skipped."""
    add_products: AddProducts | None = None
    """Addition of detected products: `always`, `unprompted` or `never`. Default: as
    `$.detect.add_products` says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Video of a manifest, checked."""

    uri: str
    video_id: str
    name: str
    """Name from which the id is made; empty if the manifest gives the id."""
    prompts: tuple[Prompt, ...]
    shots: tuple[tuple[int, ...], ...]
    add_products: AddProducts | None = None
    attributes: dict[str, str] | None = None
    """Own columns of the manifest, as text."""


def is_manifest(uri: str) -> bool:
    """Return whether the uri has the file extension of a manifest."""
    return uri.lower().endswith(EXTENSIONS)


def check_format(uri: str) -> None:
    """Raise ConfigError for a list of videos in a format that is not read."""
    if uri.lower().endswith(_OTHER_LISTS):
        raise ConfigError(
            f"{KEY} must be videos or a manifest ({', '.join(EXTENSIONS)}), got {redact_uri(uri)}; "
            "convert it"
        )


def read_manifest(uri: str) -> list[Entry]:
    """Read and check every row.

    Raises ConfigError with the line, the key, the rule and the value; PreflightError if the file
    cannot be read.
    """
    uri = normalize_uri(uri)
    entries: list[Entry] = []
    first_place: dict[tuple[str, str], str] = {}
    stores: set[str] = set()
    for where, raw in read_rows(uri):
        entry = _entry(uri, where, raw)
        if (store := store_of(entry.uri)) not in stores:
            _check_store(uri, where, entry.uri)
            stores.add(store)
        unique = (("uri", video_uri(entry.uri)), ("id", "" if entry.name else entry.video_id))
        for key, value in filter(operator.itemgetter(1), unique):
            if (first := first_place.setdefault((key, value), where)) != where:
                problem = f"{key} must be unique, got {value!r} as on {first}"
                raise manifest_error(uri, where, problem)
        entries.append(entry)
    if not entries:
        raise manifest_error(uri, "", "must have at least one row, got none")
    return entries


def _entry(manifest: str, where: str, raw: dict[str, Any]) -> Entry:
    columns = ManifestRow.model_fields
    try:
        attributes = attributes_of(raw, columns, ManifestPrompt.model_fields)
        # pandas fills what is missing with empty text if it is told so.
        given = {key: raw[key] for key in columns if not is_null(raw.get(key))}
        row = ManifestRow.model_validate(
            {key: value for key, value in given.items() if key == "uri" or value != ""}
        )
    except ValidationError as error:
        raise manifest_error(manifest, where, _describe(error.errors()[0])) from None
    except ValueError as error:
        raise manifest_error(manifest, where, str(error)) from None
    try:
        prompts = _prompts(row.prompts or [])
    except ValueError as error:
        raise manifest_error(manifest, where, f"prompts: {error}") from None
    try:
        shots = _shots(row.shots or [])
    except ValueError as error:
        raise manifest_error(manifest, where, f"shots: {error}") from None
    try:
        _check_uri(row.uri)
        uri, name = _resolve(manifest, row.uri)
    except ValueError as error:
        raise manifest_error(
            manifest, where, f"uri {error}, got {uri_without_signature(row.uri)!r}"
        ) from None
    video_id, name = (row.id, "") if row.id else (ids.video_id(name), name)
    return Entry(uri, video_id, name, prompts, shots, row.add_products, attributes)


def _check_store(manifest: str, where: str, uri: str) -> None:
    """Raise ConfigError if there is no filesystem for a video's uri."""
    try:
        with preflight(KEY, "video", uri):
            filesystem(uri)
    except PreflightError as error:
        raise manifest_error(manifest, where, str(error).removeprefix(f"{KEY}: ")) from None


def _prompts(rows: list[ManifestPrompt]) -> tuple[Prompt, ...]:
    """Convert the prompts of one video.

    Raises ValueError if a prompt has no box, points or mask, if only some prompts have an
    object_id, or if an object has only corrections, or two boxes or masks on a frame.
    """
    unnamed = [row.object_id is None for row in rows]
    if any(unnamed) and not all(unnamed):
        raise ValueError("all prompts or none must have an object_id, got some")
    prompts = tuple(_prompt(row, index) for index, row in enumerate(rows))
    started = {prompt.object_id for prompt in prompts if not prompt.correction}
    for prompt in prompts:
        if prompt.object_id not in started:
            raise ValueError(
                f"object {prompt.object_id} must have a prompt that is no correction, got only "
                "corrections"
            )
    boxes = Counter((p.object_id, p.frame_index) for p in prompts if p.box_xyxy is not None)
    masks = Counter((p.object_id, p.frame_index) for p in prompts if p.mask_rle is not None)
    for (object_id, frame_index), count in (*boxes.items(), *masks.items()):
        if count > 1:
            raise ValueError(
                f"an object must have at most one box and one mask on a frame, got {count} for "
                f"object {object_id} on frame {frame_index}"
            )
    return prompts


def _shots(rows: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    """Check the shots of one video; raises ValueError for empty or overlapping intervals."""
    previous_stop = 0
    for start, stop in rows:
        if stop <= start:
            raise ValueError(
                f"[start_frame, stop_frame] must have start < stop, got {[start, stop]}"
            )
        if start < previous_stop:
            raise ValueError(
                f"shots must be in order and must not overlap, got {[start, stop]} after a shot "
                f"that ends at {previous_stop}"
            )
        previous_stop = stop
    return tuple(map(tuple, rows))


def _prompt(row: ManifestPrompt, index: int) -> Prompt:
    points = tuple(map(tuple, row.points_xy or ()))
    if row.box_xyxy is not None:
        _check_box(*row.box_xyxy)
    if row.correction and row.frame is None:
        raise ValueError("a correction must have a frame, got none")
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


def _check_box(x0: float, y0: float, x1: float, y1: float) -> None:
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"box_xyxy must have x0 < x1 and y0 < y1, got {[x0, y0, x1, y1]}")
    if min(x1 - x0, y1 - y0) < 1:
        raise ValueError(
            "box_xyxy must be in pixels, not in fractions of the picture, and at least 1 pixel "
            f"wide and high, got {[x0, y0, x1, y1]}"
        )


def _describe(error: ErrorDetails) -> str:
    """Return a problem such as `prompts[0].frame must be a valid integer, got 'x'`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    path = path.removeprefix(".")
    value = repr(error["input"])
    value = value if len(value) <= _MAX_QUOTED_CHARS else value[:_MAX_QUOTED_CHARS] + "…"
    if error["type"] == "missing":
        return f"{path} must be given"
    if error["type"] == "extra_forbidden":
        return f"{path} is not a known key; known keys: {', '.join(ManifestPrompt.model_fields)}"
    if error["type"] == "value_error":
        return f"{path} {error['msg'].removeprefix('Value error, ')}, got {value}"
    return f"{path} must {broken_rule(error)}, got {value}"


def _check_uri(uri: str) -> None:
    """Raise ValueError for a uri that can name no video, wherever it is."""
    scheme, separator, rest = uri.partition("://")
    if "\0" in uri or (scheme == "file" and "%00" in rest):
        raise ValueError("must have no NUL character")
    if separator and not rest.strip("/"):
        raise ValueError("must name a video after ://")
    if scheme in _BUCKETS and not rest.strip("/").partition("/")[2]:
        raise ValueError("must name an object in the bucket")
    if scheme == "file" and not rest.startswith(("/", "localhost/")):
        raise ValueError("must have an absolute path after file://")
    if uri.startswith(HTTP):
        try:
            has_host = urlsplit(uri).hostname and urlsplit(uri).port != 0
        except ValueError as error:
            raise ValueError(f"must be a valid URL ({error})") from None
        if not has_host:
            raise ValueError("must name a host")


def _resolve(manifest: str, uri: str) -> tuple[str, str]:
    """Return the absolute uri and the name; a relative uri starts at the manifest's folder.

    A slash at the end is kept: it marks a folder of frames.
    """
    slash = "/" if uri.endswith("/") else ""
    if "://" in uri or expand_user(uri).is_absolute():
        uri = normalize_uri(uri) + slash
        return uri, video_uri(uri)
    scheme, separator, path = manifest.rpartition("://")
    folder = PurePosixPath(path).parent
    uri = f"{scheme}{separator}{posixpath.normpath(folder / uri)}{slash}"
    return uri, name_from(str(folder), uri)
