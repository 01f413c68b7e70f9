import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pvtt_flow.errors import DataError
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.probe import probe
from pvtt_flow.video.read import read_frames
from tests.video.clip_maker import encode_images, moving_image, number_of, read, write_clip
from tests.video.packets import position_of, seconds_of, video_packets


def read_until_truncation(path: Path) -> tuple[list[int], TruncatedVideoError]:
    numbers: list[int] = []
    with path.open("rb") as file, pytest.raises(TruncatedVideoError) as caught:
        numbers.extend(number_of(frame.rgb) for frame in read_frames(file))
    return numbers, caught.value


def zero_part_of(
    data: bytes, packet: "Packet[VideoStream]", share: float, at: int | None = None
) -> bytes:
    """Overwrite a twentieth of the packet with zeros, starting at `share` of its size."""
    start = (position_of(packet) if at is None else at) + int(share * packet.size)
    stop = start + packet.size // 20
    return data[:start] + bytes(stop - start) + data[stop:]


@pytest.mark.parametrize("at", ["inside a packet", "between packets"])
def test_a_truncated_file_gives_its_good_frames(tmp_path: Path, clip: Path, at: str) -> None:
    packets = video_packets(clip)
    stop = position_of(packets[30]) + (packets[30].size // 2 if at == "inside a packet" else 0)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[:stop])
    numbers, error = read_until_truncation(cut)
    assert numbers == list(range(len(numbers)))
    assert 24 <= len(numbers) <= 30
    assert error.frame_index == len(numbers)
    assert error.kind == "undecodable"
    assert f"decoding stopped at frame {len(numbers)}: the file ends" in str(error)
    assert read(cut, stop_frame=len(numbers) - 8)[-1].frame_index == len(numbers) - 9


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.9])
def test_a_truncated_matroska_file_is_noticed(tmp_path: Path, fraction: float) -> None:
    data = write_clip(tmp_path / "whole.mkv", 30).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: int(fraction * len(data))])
    numbers, error = read_until_truncation(cut)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 30 * fraction - 6
    assert "the file is shorter than its header says" in str(error)


def test_a_keyframe_near_the_end_is_not_truncation(tmp_path: Path) -> None:
    # A Matroska index has the pts of a keyframe: here it is later than the dts of the last frame.
    images = [moving_image(i) for i in range(54)]
    path = encode_images(tmp_path / "whole.mkv", images, options={"g": "20", "bf": "3"})
    assert [number_of(frame.rgb) for frame in read(path)] == list(range(54))


def test_corrupt_bytes_end_the_video_at_their_frame(tmp_path: Path, clip: Path) -> None:
    data = bytearray(clip.read_bytes())
    packets = video_packets(clip)
    packet = packets[20]
    start = position_of(packet)
    data[start + 4 : start + packet.size] = bytes(packet.size - 4)
    corrupt = tmp_path / "hurt.mp4"
    corrupt.write_bytes(data)
    numbers, error = read_until_truncation(corrupt)
    assert numbers == list(range(len(numbers)))
    assert 16 <= len(numbers) <= 20
    assert error.frame_index == len(numbers)


def test_corruption_late_in_a_frame_is_found_before_the_frame_is_returned(tmp_path: Path) -> None:
    # With frame threads the frame would be returned while its end is decoded; with slice threads
    # FFmpeg would not look for corruption.
    options = {"bf": "0", "x264-params": "cabac=0"}
    path = write_clip(tmp_path / "clip.mp4", 12, size_px=(320, 240), options=options)
    packets = video_packets(path)
    (fourth,) = (packet for packet in packets if seconds_of(packet) * 25 == 4)
    path.write_bytes(zero_part_of(path.read_bytes(), fourth, 0.9))
    for _ in range(5):
        numbers, error = read_until_truncation(path)
        assert error.reason == "the frame is corrupt"
        assert numbers == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("clip.mp4", "libx264", {"g": "12", "x264-params": "cabac=0:bframes=3:b-pyramid=normal"}),
        ("clip.avi", "mpeg4", {"g": "12", "bf": "2"}),
    ],
)
def test_no_returned_frame_is_predicted_from_a_corrupt_one(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    images = [moving_image(i) for i in range(20)]
    path = encode_images(tmp_path / name, images, codec=codec, options=options)
    data, good = path.read_bytes(), [frame.rgb for frame in read(path)]
    packets = [packet for packet in video_packets(path) if packet.size > 60][1:]
    num_truncations = 0
    for packet in packets:
        stop = position_of(packet) + packet.size
        path.write_bytes(data[: stop - packet.size // 3] + bytes(packet.size // 3) + data[stop:])
        returned: list[NDArray[np.uint8]] = []
        try:
            with path.open("rb") as file:
                returned.extend(frame.rgb for frame in read_frames(file))
        except TruncatedVideoError:
            num_truncations += 1
            assert all(map(np.array_equal, returned, good))
    assert num_truncations > len(packets) / 2


def test_a_corrupt_motion_jpeg_frame_is_not_filled_from_other_frames(tmp_path: Path) -> None:
    images = [moving_image(i) for i in range(6)]
    path = tmp_path / "clip.mkv"
    encode_images(path, images, codec="mjpeg", pixel_format="yuvj420p")
    packets = video_packets(path)
    at = path.read_bytes().index(bytes(packets[3]))
    path.write_bytes(zero_part_of(path.read_bytes(), packets[3], 0.5, at))
    assert read_until_truncation(path)[0] == [0, 1, 2]


def test_a_size_other_than_probed_is_refused(tmp_path: Path, clip: Path) -> None:
    with clip.open("rb") as file:
        video = probe(file, size_bytes=clip.stat().st_size)
    other = write_clip(tmp_path / "other.mp4", 3, size_px=(128, 64))
    with pytest.raises(DataError, match="the frame size must be 96x64, got 128x64"):
        read(other, video=video)


def test_the_truncation_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(TruncatedVideoError(7, "why")))  # noqa: S301
    assert (error.frame_index, error.reason, error.kind) == (7, "why", "undecodable")
    assert str(error) == str(TruncatedVideoError(7, "why"))


def test_a_failed_read_is_not_a_corrupt_video(clip: Path) -> None:
    class Flaky(io.BytesIO):
        num_reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.num_reads += 1
            if self.num_reads > 2:
                raise ConnectionError("reset by peer")
            return super().read(min(size or 0, 40_000))

    with pytest.raises(DataError) as caught:
        list(read_frames(Flaky(clip.read_bytes())))
    assert caught.value.kind == "unreadable"
    assert "a read failed with ConnectionError: reset by peer" in str(caught.value)
