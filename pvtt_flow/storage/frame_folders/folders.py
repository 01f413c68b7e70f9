"""Folders of frames as videos: how they are named, and what a listing says of them.

Such a video's uri is `<folder>/#fps=25`: frames have no times of their own, so the uri says how
many of them are shown a second.
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

# Eleven hours; a bound on what a folder can cost before its limits are looked at.
MAX_FRAMES = 1_000_000
# A lone numbered picture is a picture.
_FEWEST = 2
_URI = re.compile(r"(.+)/#fps=([0-9]+(?:\.[0-9]+)?)", re.DOTALL)
# All rates in use are fractions of small numbers: 29.97002997 is 30000/1001.
_MAX_DENOMINATOR = 1001


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A folder whose numbered pictures are the frames of one video."""

    folder: str
    """Its uri, without a slash at the end."""
    fps: float
    """In [MIN_FPS, MAX_FPS]."""

    @property
    def uri(self) -> str:
        """Of the video."""
        return f"{self.folder}/#fps={self.fps:.12g}"

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(self.fps).limit_denominator(_MAX_DENOMINATOR)


def parse_frame_folder(uri: str) -> FrameFolder | None:
    """The folder of frames that a uri names; None for every other uri."""
    match = _URI.fullmatch(uri)
    if match is None or not MIN_FPS <= float(match[2]) <= MAX_FPS:
        return None
    return FrameFolder(normalize_uri(match[1]), float(match[2]))


def strip_fps(uri: str) -> str:
    """What stays the same when the frames are shown faster; other uris as they are."""
    frames = parse_frame_folder(uri)
    return f"{frames.folder}/" if frames else uri


def list_frames(folder: str) -> list[ObjectInfo]:
    """The numbered pictures of a folder, in no order; on a disk, none beyond one too many.

    Raises what the store raises.
    """
    path = local_path(folder)
    if path is not None:
        return _local_pictures(path)
    files, remote = filesystem(folder)
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
    """The video as one object: any change to its pictures, or to its rate, is one to its etag."""
    by_name = sorted(pictures, key=lambda picture: picture.uri)
    if not by_name:
        return ObjectInfo(frames.uri, "", 0)
    lines = [str(frames.rate), *(f"{base_name(p.uri)}\n{p.size_bytes}\n{p.etag}" for p in by_name)]
    etag = "frames:" + digest("\n".join(lines), 32)
    return ObjectInfo(frames.uri, etag, sum(picture.size_bytes for picture in by_name))


def stat_folder(frames: FrameFolder) -> ObjectInfo:
    """The video as the store has it now; raises what the store raises."""
    return folder_as_video(frames, list_frames(frames.folder))


def group_by_folder(
    every: Iterable[ObjectInfo], fps: float
) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Folders with at least two numbered pictures as videos, and what is in none of them."""
    by_folder: dict[str, list[ObjectInfo]] = defaultdict(list)
    others: list[ObjectInfo] = []
    for one in every:
        is_frame = parse_frame_name(base_name(one.uri))
        (by_folder[one.uri.rpartition("/")[0]] if is_frame else others).append(one)
    videos = []
    for folder, pictures in by_folder.items():
        if len(pictures) < _FEWEST:
            others += pictures
        else:
            videos.append(folder_as_video(FrameFolder(folder, fps), pictures))
    return videos, others
