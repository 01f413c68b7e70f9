"""The knobs of storage; cheap to import, so that the config can be composed anywhere."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pvtt_flow.params import Params


def _ending(text: str) -> str:
    ending = text.lower().removeprefix(".")
    if not ending.isalnum():
        raise ValueError(f"must be a file ending like 'mp4', got {text!r}")
    return ending


MIN_FPS, MAX_FPS = 0.01, 1000.0
Ending = Annotated[str, AfterValidator(_ending)]


class InputParams(Params):
    """Which videos to process."""

    uri: str = Field(min_length=1)
    """A video, a folder (recursive), a glob, a folder of frames (`mug/#fps=25`), or a manifest
    (`.csv`, `.jsonl`, `.ndjson`, `.parquet`); local, `s3://`, `gs://` or anything else that fsspec
    opens."""
    extensions: Annotated[tuple[Ending, ...], Field(strict=False)] = ()
    """Endings that count as videos in a folder, besides the usual ones."""
    frame_folders: bool = False
    """Whether folders of numbered JPEG or PNG pictures (`00000.jpg`) are videos, too."""
    frames_fps: Annotated[float, Field(ge=MIN_FPS, le=MAX_FPS)] = 25.0
    """Frames a second of such folders, which have no times of their own; another value makes them
    changed videos."""
    identity: Literal["etag", "content"] = "etag"
    """What tells that a video changed: the store's ETag (local files: modification time and
    size), or a hash of the content, which reads every byte of every video before each run."""


class OutputParams(Params):
    """Where the dataset is."""

    uri: str = Field(min_length=1)
    """The dataset's folder: local, `s3://` or `gs://`."""
