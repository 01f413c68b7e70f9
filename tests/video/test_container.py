import pytest

from pvtt_flow.video.container import declared_size

HEADER = bytes.fromhex("1A45DFA3 82 4286")
SEGMENT = bytes.fromhex("18538067")


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [
        (b"\x90", 7 + 5 + 16),
        (b"\x40\x02", 7 + 6 + 2),
        (b"\x01\x00\x00\x00\x00\x10\x00\x00", 7 + 12 + 0x100000),
        (b"\xff", None),
        (b"\x01" + 7 * b"\xff", None),
        (b"\x00", None),
        (b"\x01\x00", None),
        (b"", None),
    ],
    ids=["1 byte", "2 bytes", "8 bytes", "live, 1", "live, 8", "zero", "cut", "none"],
)
def test_declared_size(size: bytes, size_bytes: int | None) -> None:
    assert declared_size(HEADER + SEGMENT + size) == size_bytes


@pytest.mark.parametrize("head", [b"", b"ftypmp42", HEADER, HEADER + b"\x00" * 9])
def test_other_files_declare_no_size(head: bytes) -> None:
    assert declared_size(head) is None
