"""Files that are no videos, one for each way in which that goes wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pvtt_flow.errors import FailureKind
from tests.video.clip_maker import write_clip, write_sound
from tests.video.packets import position_of, video_packets


@dataclass(frozen=True)
class BadVideo:
    """Recipe of a bad video, and the failure row to expect."""

    make: Callable[[Path], object]
    kind: FailureKind
    message: str


def _without_index(path: Path) -> None:
    data = write_clip(path, 20).read_bytes()
    index_at = data.index(b"moov") - 4
    size = int.from_bytes(data[index_at : index_at + 4], "big")
    path.write_bytes(data[:index_at] + data[index_at + size :])


def _without_a_sound_frame(path: Path) -> None:
    write_clip(path, 10)
    start = min(map(position_of, video_packets(path)))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:start] + bytes(size - start))


BAD_VIDEOS = {
    "zero_length.mp4": BadVideo(Path.touch, "empty_file", "must have content, got 0 bytes"),
    # Brackets and colons mean something to rich, which prints what went wrong.
    "[red] :cup:.mp4": BadVideo(
        lambda path: path.write_text("this is text, whatever its name says\n" * 50),
        "not_a_video",
        "the content must be a video file",
    ),
    "without_index.mp4": BadVideo(
        _without_index, "not_a_video", "the content must be a video file"
    ),
    "sound.mp4": BadVideo(write_sound, "no_video_stream", "got only audio tracks"),
    "no_sound_frame.mp4": BadVideo(
        _without_a_sound_frame, "undecodable", "must have at least one frame that decodes"
    ),
    "dangling_link.mp4": BadVideo(
        lambda path: path.symlink_to("/nowhere/video.mp4"), "unreadable", "no file at"
    ),
}
