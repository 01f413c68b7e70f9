"""Files that exist only as streams read like files of the same bytes."""

import io

from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.core.virtual_file import VirtualFile


class Repeated(VirtualFile):
    """Bytes that are given out a few at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content = content

    def _bytes_at(self, position: int, num_bytes: int) -> bytes:
        return self._content[position : position + min(num_bytes, 3)]


@given(
    st.binary(max_size=20),
    st.lists(st.tuples(st.integers(-25, 25), st.sampled_from([0, 1, 2]), st.integers(0, 9))),
)
def test_it_reads_like_a_file_of_its_bytes(
    content: bytes, steps: list[tuple[int, int, int]]
) -> None:
    virtual, real = Repeated(content), io.BytesIO(content)
    for offset, whence, num_bytes in steps:
        position = virtual.seek(offset, whence)
        origin = (0, real.tell(), len(content))[whence]
        assert position == virtual.tell() == real.seek(max(0, origin + offset))
        data = virtual.read(num_bytes) or b""
        assert data == real.read(len(data))
        assert bool(data) == (num_bytes > 0 and position < len(content))
    virtual.seek(0)
    assert virtual.read() == content
