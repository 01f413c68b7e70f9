"""Input and output sections of the config; free of heavy imports."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pvtt_flow.params import Params


def _file_extension(text: str) -> str:
    extension = text.lower().removeprefix(".")
    if not extension.isalnum():
        raise ValueError(f"must be a file extension like 'mp4', got {text!r}")
    return extension


MIN_FPS, MAX_FPS = 0.01, 1000.0
FileExtension = Annotated[str, AfterValidator(_file_extension)]


class InputParams(Params):
    """Videos to process."""

    uri: str = Field(min_length=1)
    """Location of the videos: a file, a folder (searched recursively), a glob, a folder of frames
    (`mug/#fps=25`), or a manifest (`.csv`, `.jsonl`, `.ndjson`, `.parquet`). Local, `s3://`,
    `gs://`, or any other filesystem of fsspec."""
    anonymous: bool = False
    """Read videos and manifests without credentials, as public buckets allow. The buckets of
    `output.uri`, `run.models` and the weights keep the credentials of the environment."""
    extensions: Annotated[tuple[FileExtension, ...], Field(strict=False)] = ()
    """More file extensions that count as videos when a folder is searched, such as `webp`. With
    `jpg` or `png`, each picture is a video of one frame; a manifest needs no extension for it."""
    frame_folders: bool = False
    """Read folders of numbered JPEG or PNG pictures (`00000.jpg`) as videos, too."""
    frames_fps: Annotated[float, Field(ge=MIN_FPS, le=MAX_FPS)] = 25.0
    """Frames per second of folders of frames, which have no timestamps. A video counts as changed
    when this changes."""
    identity: Literal["etag", "content"] = "etag"
    """Evidence that a video changed: `etag`: the store's ETag (modification time and size for local
    files). If it differs and the size does not, the content is compared with the hash in the
    dataset, so that a file that was touched, copied or uploaded again is `unchanged`. `content`: a
    hash of the file, for which each run reads every byte of every video; it also finds a change
    that keeps time and size."""


class OutputParams(Params):
    """The dataset."""

    uri: str = Field(min_length=1)
    """Folder of the dataset: local, `s3://` or `gs://`."""
