"""Lossless mask videos beside the clip, a folder for each sequence.

    <sequence>/clip.mp4    <sequence>/object_000.mkv (FFV1) or .mp4 (x264, qp 0, 4:4:4)

White is the object, and nothing is dilated. Lossy masks would have noise around the object, which
ProPainter and DiffuEraser read as a hole.
"""

from pathlib import Path

from pvtt_flow.export.formats.clips import write_clip, write_mask_video
from pvtt_flow.export.formats.format import Format, Part
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.video.encode import FFV1, LOSSLESS_H264, Encoding


class Ffv1(Format):
    """Mask videos in Matroska."""

    name = "ffv1"
    summary = "clips, and a lossless FFV1 mask video (.mkv) for each object"
    _encoding: Encoding = FFV1

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the mask video of each object, and the clip."""
        home = folder / sequence.name
        home.mkdir()
        for masklet in sequence.masklets:
            path = home / f"object_{masklet.object_id:03d}{self._encoding.suffix}"
            write_mask_video(path, sequence, masklet, self._encoding)
        if self.options.pictures:
            write_clip(home / "clip.mp4", sequence)
        return {}


class LosslessH264(Ffv1):
    """Mask videos in MP4, for readers that take nothing else."""

    name = "x264"
    summary = "clips, and a lossless H.264 4:4:4 mask video (.mp4) for each object"
    _encoding = LOSSLESS_H264
