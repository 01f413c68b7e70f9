"""Matroska files that no muxer writes, assembled from the elements of others (RFC 9559)."""

from collections.abc import Iterator
from pathlib import Path

from tests.video.ffmpeg_files import H264, write_pattern

_SEGMENT, _INFO, _TRACKS = b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"
_CLUSTER, _CUES = b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"
_SEEK_HEAD, _CHECKSUM = b"\x11\x4d\x9b\x74", b"\xbf"
_CLUSTER_TIME = b"\xe7"


def write_restarting_segment(folder: Path) -> Path:
    """Write 24 and 72 frames into one segment, with the clock at 0 and an index for both.

    A frame lasts 40 ms, so the times that go on are also times of other frames on that clock.
    """
    options = (*H264, "-cluster_time_limit", "100")
    first = write_pattern(folder / "a.mkv", *options, fps=25).read_bytes()
    second = write_pattern(
        folder / "b.mkv", *options, num_frames=72, first=100, fps=25
    ).read_bytes()
    _, (_, segment) = _elements(first)
    _, (_, second_segment) = _elements(second)
    children = list(_elements(segment))
    header = b"".join(_element(name, data) for name, data in children if name in {_INFO, _TRACKS})
    clusters = [data for name, data in (*children, *_elements(second_segment)) if name == _CLUSTER]
    # All numbers in an index have eight bytes, so its size does not depend on them.
    position = len(header) + len(_index(clusters, 0))
    content = header + _index(clusters, position)
    content += b"".join(_element(_CLUSTER, data) for data in clusters)
    path = folder / "restarting.mkv"
    path.write_bytes(first[: first.index(_SEGMENT)] + _element(_SEGMENT, content))
    return path


def declare_cropping(path: Path, cropping: tuple[int, int, int, int]) -> Path:
    """Declare that left, right, top and bottom of the picture are cropped, in place."""
    elements = ((0x54CC, 0x54DD, 0x54BB, 0x54AA), cropping)
    crops = b"".join(
        _element(name.to_bytes(2, "big"), pixels.to_bytes(4, "big"))
        for name, pixels in zip(*elements, strict=True)
    )
    data = path.read_bytes()
    (_, segment) = list(_elements(data))[1]
    changed = _with_appended(segment, (_TRACKS, b"\xae", b"\xe0"), crops)
    path.write_bytes(data[: data.index(_SEGMENT)] + _element(_SEGMENT, changed))
    return path


def _with_appended(data: bytes, names: tuple[bytes, ...], appended: bytes) -> bytes:
    """Append to the content of the innermost element; checksums and indices are left out."""
    if not names:
        return data + appended
    return b"".join(
        _element(
            name, _with_appended(content, names[1:], appended) if name == names[0] else content
        )
        for name, content in _elements(data)
        if name not in {_CUES, _SEEK_HEAD, _CHECKSUM}
    )


def _index(clusters: list[bytes], position: int) -> bytes:
    points = b""
    for data in clusters:
        time = next(data for name, data in _elements(data) if name == _CLUSTER_TIME)
        at = _element(b"\xf7", b"\x01") + _element(b"\xf1", position.to_bytes(8, "big"))
        points += _element(b"\xbb", _element(b"\xb3", time.rjust(8, b"\0")) + _element(b"\xb7", at))
        position += len(_element(_CLUSTER, data))
    return _element(_CUES, points)


def _element(name: bytes, data: bytes) -> bytes:
    return name + b"\x01" + len(data).to_bytes(7, "big") + data


def _elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield id and content of each element."""
    at = 0
    while at < len(data):
        id_bytes = 9 - data[at].bit_length()
        size_at = at + id_bytes
        size_bytes = 9 - data[size_at].bit_length()
        content_at = size_at + size_bytes
        size = int.from_bytes(data[size_at:content_at], "big") & ((1 << 7 * size_bytes) - 1)
        yield data[at:size_at], data[content_at : content_at + size]
        at = content_at + size
