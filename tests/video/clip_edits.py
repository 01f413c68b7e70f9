"""Edit clips in ways that no encoder offers: truncate, concatenate, change times or edit list."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import av

from tests.video.clip_maker import EncodeOptions, encode_images, moving_image

_FIRST, _SECOND = range(24), range(100, 124)
TWO_SCENES = [*_FIRST, *_SECOND]
"""Frame numbers of the files that `concatenate_recordings` and `splice_scenes` write."""


def truncate_file(path: Path, fraction: float) -> Path:
    """Keep only the first part of the file, in place."""
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])
    return path


def concatenate_recordings(
    folder: Path, suffix: str, *, second_ms: int = 0, **options: Unpack[EncodeOptions]
) -> Path:
    """Concatenate the bytes of two recordings; the second one's clock starts at `second_ms`."""
    path = folder / f"clip{suffix}"
    data = b""
    for numbers, start_ms in ((_FIRST, 0), (_SECOND, second_ms)):
        options["pts_ms"] = [start_ms + 40 * i for i in range(len(numbers))]
        images = [moving_image(number) for number in numbers]
        data += encode_images(path, images, **options).read_bytes()
    path.write_bytes(data)
    return path


def splice_scenes(folder: Path, suffix: str, **options: Unpack[EncodeOptions]) -> Path:
    """Mux two separately encoded scenes into one stream with one clock, like a lossless cutter."""
    with av.open(folder / f"clip{suffix}", "w") as file:
        stream = None
        for numbers, start_ms in ((_FIRST, 0), (_SECOND, 960)):
            images = [moving_image(number) for number in numbers]
            path = encode_images(folder / f"{numbers.start}.mp4", images, **options)
            with av.open(path) as scene:
                source = scene.streams.video[0]
                stream = stream or file.add_stream_from_template(source)
                for packet in scene.demux(source):
                    if packet.size:
                        late = round(start_ms / 1000 / packet.time_base)
                        assert packet.pts is not None
                        assert packet.dts is not None
                        packet.pts, packet.dts = packet.pts + late, packet.dts + late
                        packet.stream = stream
                        file.mux(packet)
    return folder / f"clip{suffix}"


def remux_with_times(folder: Path, pts_ms: Sequence[int]) -> Path:
    """Write Motion JPEG in Matroska with these times, which no encoder accepts."""
    images = [moving_image(i) for i in range(len(pts_ms))]
    plain = encode_images(folder / "plain.mkv", images, codec="mjpeg", pixel_format="yuvj420p")
    with av.open(plain) as whole, av.open(folder / "clip.mkv", "w") as file:
        stream = file.add_stream_from_template(whole.streams.video[0])
        packets = (packet for packet in whole.demux(video=0) if packet.size)
        for packet, pts in zip(packets, pts_ms, strict=True):
            packet.pts = packet.dts = pts
            packet.stream = stream
            file.mux(packet)
    return folder / "clip.mkv"


def set_edit_list(path: Path, start: int, stop: int) -> Path:
    """Set the edit list of an MP4 file at 25 fps to the frames `[start, stop)`, in place."""
    with av.open(path) as file:
        time_base = file.streams.video[0].time_base
        assert time_base is not None
    ticks = round(1 / (25 * time_base))
    data = path.read_bytes()
    # One edit: duration in milliseconds (the movie's time scale), start in the track's ticks.
    was = re.search(rb"elst\x00{4}\x00\x00\x00\x01.{4}(.{4})", data, re.DOTALL)
    assert was is not None
    first = int.from_bytes(was[1], "big") + start * ticks
    edit = (40 * (stop - start)).to_bytes(4, "big") + first.to_bytes(4, "big")
    path.write_bytes(data[: was.end() - 8] + edit + data[was.end() :])
    return path
