"""How long a Matroska or WebM file says that it is; FFmpeg takes a cut one for complete."""

# Element ids of the two outermost elements: a short header, then everything else.
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_ID_BYTES = 4


def declared_size(head: bytes) -> int | None:
    """The file size that its first bytes promise; None when they do not, as in a live recording.

    Both outermost elements are an id of four bytes, a size in EBML's variable length and the
    content.
    """
    position = 0
    for expected_id in (_EBML, _SEGMENT):
        size_at = position + _ID_BYTES
        if int.from_bytes(head[position:size_at], "big") != expected_id:
            return None
        size = _variable_int(head, size_at)
        if size is None:
            return None
        value, num_bytes = size
        content_at = size_at + num_bytes
        position = content_at + value
    return position


def _variable_int(head: bytes, at: int) -> tuple[int, int] | None:
    """Value and length: the first byte's leading zeros count the bytes that follow it.

    None at the end of `head`, and for the reserved value of all ones, an unknown size.
    """
    if at >= len(head) or head[at] == 0:
        return None
    num_bytes = 9 - head[at].bit_length()
    bits = (1 << 7 * num_bytes) - 1
    value = int.from_bytes(head[at : at + num_bytes], "big") & bits
    if at + num_bytes > len(head) or value == bits:
        return None
    return value, num_bytes
