"""Whether a time stands for one place in a file.

Two recordings that were put one after the other are decoded as one, though the second's clock
starts anew: a seek would find the first one's frames in place of the second's. Only containers
that tell each frame's time, and that tell that they hold one recording, have one clock.
"""

from pvtt_flow.video.container import ErrorRecordingFile, OpenVideo

# A movie has a handful of boxes; a file made of nothing but tiny ones is not worth the walk.
_MAX_BOXES = 1000


def timestamps_are_unique(opened: OpenVideo) -> bool:
    """Whether this is MP4 (or MOV) in one piece, or Matroska that ends where it says, or before."""
    name = opened.container.format.name
    if "matroska" in name:
        surplus = opened.file.matroska_surplus()
        return surplus is not None and surplus <= 0
    return "mp4" in name and not _may_have_fragments(opened.file)


def _may_have_fragments(file: ErrorRecordingFile) -> bool:
    """Whether an MP4 file tells some times in fragments, each on its own."""
    box_at = 0
    for _ in range(_MAX_BOXES):
        head = file.peek(box_at, 16)
        num_bytes, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if num_bytes == 1:
            num_bytes = int.from_bytes(head[8:], "big")
        # A box of size 0 goes on to the end, and so does damage.
        if kind == b"moof" or num_bytes < 8:
            return kind == b"moof"
        box_at += num_bytes
    return True
