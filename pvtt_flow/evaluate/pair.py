"""Find the video of each annotated sequence by its name."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from pvtt_flow.errors import ConfigError
from pvtt_flow.types import VideoRecord

# Folders of numbered frames that are named by what they hold.
_FRAMES = "frames"
# The frame rate of such a folder, in its uri.
_FPS = re.compile(r"/#fps=[^/]*$")
_SHOWN = 3


def pair(videos: Iterable[VideoRecord], names: Sequence[str]) -> dict[str, VideoRecord]:
    """Return the video of each sequence: the one with its name as id, file name or folder name.

    Raises ConfigError for a sequence without a video, or with several.
    """
    by_name: dict[str, list[VideoRecord]] = {}
    for video in videos:
        for name in _names(video):
            by_name.setdefault(name, []).append(video)
    missing = [name for name in names if name not in by_name]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        raise ConfigError(
            f"each sequence must have a video of its name, but {len(missing)} of {len(names)} have "
            f"none ({shown}); name with --sequences the ones that the dataset has"
        )
    return {name: _only(name, by_name) for name in names}


def _only(name: str, by_name: Mapping[str, list[VideoRecord]]) -> VideoRecord:
    first, *others = by_name[name]
    if others:
        raise ConfigError(
            f"the sequence {name} must have one video, got {first.uri} and {others[0].uri}; give "
            f"one of them the id {name} in a manifest"
        )
    return first


def _names(video: VideoRecord) -> Iterator[str]:
    """Yield the names of a video, each once."""
    uri = _FPS.sub("", video.uri)
    path = PurePosixPath(unquote(uri.partition("://")[2] or uri))
    if path.name == _FRAMES:
        path = path.parent
    yield from dict.fromkeys((video.video_id, path.stem, path.name))
