"""List folders of frames as videos.

The uri of such a video is `<folder>/#fps=25`: frames have no timestamps, so the uri has the rate.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pvtt_flow.core.ids import digest
from pvtt_flow.storage import object_info
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.storage.frame_folders.names import base_name, parse_frame_name
from pvtt_flow.storage.object_info import ObjectInfo
from pvtt_flow.storage.params import MAX_FPS, MIN_FPS
from pvtt_flow.storage.retry import with_retries
from pvtt_flow.storage.uris import local_path, normalize_uri

# Eleven hours at 25 fps; limits the cost of listing a folder, before `limits.max_frames` applies.
MAX_FRAMES = 1_000_000
# A single numbered picture is a still.
_MIN_FRAMES = 2
_URI = re.compile(r"(.+)/#fps=([0-9]+(?:\.[0-9]+)?)", re.DOTALL)
# Video rates are fractions with small denominators: 29.97002997 is 30000/1001.
_MAX_DENOMINATOR = 1001


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """Folder whose numbered pictures are the frames of one video."""

    folder: str
    """Uri of the folder, without a slash at the end."""
    fps: float
    """Frames per second, in [MIN_FPS, MAX_FPS]."""

    @property
    def uri(self) -> str:
        """Uri of the video."""
        return f"{self.folder}/#fps={self.fps:.12g}"

    @property
    def rate(self) -> Fraction:
        """Frames per second, as an exact fraction."""
        return Fraction(self.fps).limit_denominator(_MAX_DENOMINATOR)


def parse_frame_folder(uri: str) -> FrameFolder | None:
    """Return the folder of frames that a uri names, and None for every other uri."""
    match = _URI.fullmatch(uri)
    if match is None or not MIN_FPS <= float(match[2]) <= MAX_FPS:
        return None
    return FrameFolder(normalize_uri(match[1]), float(match[2]))


def strip_fps(uri: str) -> str:
    """Remove the rate from the uri of a folder of frames; return other uris unchanged."""
    frames = parse_frame_folder(uri)
    return f"{frames.folder}/" if frames else uri


def list_frames(folder: str, *, anonymous: bool = False) -> list[ObjectInfo]:
    """List the numbered pictures of a folder, in no order; `anonymous` as in `filesystem`.

    On a disk the list stops after MAX_FRAMES + 1. Raises the errors of the store.
    """
    path = local_path(folder)
    if path is not None:
        return _local_pictures(path)
    files, remote = filesystem(folder, anonymous=anonymous)
    infos = with_retries(lambda: files.ls(remote, detail=True))
    return [
        object_info.remote(files.unstrip_protocol(info["name"]), info)
        for info in infos
        if info["type"] == "file" and parse_frame_name(base_name(info["name"]))
    ]


def _local_pictures(path: Path) -> list[ObjectInfo]:
    pictures = []
    with os.scandir(path) as entries:
        for entry in entries:
            if parse_frame_name(entry.name) and not entry.is_dir():
                pictures.append(object_info.local(Path(entry.path)))
            if len(pictures) > MAX_FRAMES:
                break
    return pictures


def folder_as_video(frames: FrameFolder, pictures: Iterable[ObjectInfo]) -> ObjectInfo:
    """Return the video as one object, whose etag changes with any of its pictures and its rate."""
    by_name = sorted(pictures, key=lambda picture: picture.uri)
    if not by_name:
        return ObjectInfo(frames.uri, "", 0)
    lines = [str(frames.rate), *(f"{base_name(p.uri)}\n{p.size_bytes}\n{p.etag}" for p in by_name)]
    etag = "frames:" + digest("\n".join(lines), 32)
    return ObjectInfo(frames.uri, etag, sum(picture.size_bytes for picture in by_name))


def stat_folder(frames: FrameFolder, *, anonymous: bool = False) -> ObjectInfo:
    """List the folder again and return the video as one object; raises the errors of the store."""
    return folder_as_video(frames, list_frames(frames.folder, anonymous=anonymous))


def group_by_folder(
    objects: Iterable[ObjectInfo], fps: float
) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Return folders with at least two numbered pictures as videos, and all other objects."""
    by_folder: dict[str, list[ObjectInfo]] = defaultdict(list)
    others: list[ObjectInfo] = []
    for info in objects:
        is_frame = parse_frame_name(base_name(info.uri))
        (by_folder[_folder_of(info.uri)] if is_frame else others).append(info)
    videos = []
    for folder, pictures in by_folder.items():
        if len(pictures) < _MIN_FRAMES:
            others += pictures
        else:
            videos.append(folder_as_video(FrameFolder(folder, fps), pictures))
    return videos, others


def _folder_of(uri: str) -> str:
    folder = uri.rpartition("/")[0]
    # Of a name that is not UTF-8; its folder may be.
    return normalize_uri(folder) if folder.startswith("file://") else folder
