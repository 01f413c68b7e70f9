"""Hugging Face VideoFolder: clips with a line of metadata each.

    <split>/<sequence>.mp4     <split>/<sequence>_object_000.mkv     <split>/metadata.jsonl

`load_dataset("videofolder", data_dir=...)` reads it (docs/source/video_dataset.mdx of `datasets`).
A line is one object: its clip (`file_name`), mask video (`mask_file_name`), label, boxes, and the
index, time and hash of each frame. `datasets` knows a few names of splits, as `train` and `val`; it
puts all others into `train`, and `split` has their name.
"""

import json
from pathlib import Path

from pvtt_flow.export.formats.clips import write_clip, write_mask_video
from pvtt_flow.export.formats.coco_rows import bbox_of
from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet
from pvtt_flow.video.encode import FFV1

# The split that `datasets` gives to files without one.
_NO_SPLIT = "train"


class VideoFolder(Format):
    """Clips, mask videos and metadata."""

    name = "videofolder"
    summary = "Hugging Face VideoFolder: clips, lossless mask videos, metadata.jsonl"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the clip and a mask video for each object."""
        home = folder / (sequence.split or _NO_SPLIT)
        home.mkdir()
        if self.options.pictures:
            write_clip(home / f"{sequence.name}.mp4", sequence)
        for masklet in sequence.masklets:
            write_mask_video(home / _mask_name(sequence, masklet), sequence, masklet, FFV1)
        return {"lines": [self._line(sequence, masklet) for masklet in sequence.masklets]}

    def finish(self, written: Written, folder: Path) -> None:
        """Write the metadata of each split."""
        for sequence in written():
            home = folder / (sequence.facts["split"] or _NO_SPLIT)
            home.mkdir(exist_ok=True)
            with (home / "metadata.jsonl").open("a") as file:
                for line in sequence.part["lines"]:
                    file.write(f"{json.dumps(line, ensure_ascii=False)}\n")

    def _line(self, sequence: Sequence, masklet: Masklet) -> dict[str, object]:
        clip = {"file_name": f"{sequence.name}.mp4"} if self.options.pictures else {}
        mask = "mask_file_name" if self.options.pictures else "file_name"
        frames = sequence.frame_facts()
        if not self.options.pictures:
            # There are none, and `datasets` cannot read columns of empty values alone.
            del frames["rgb_blake2b"]
        return {
            **clip,
            mask: _mask_name(sequence, masklet),
            "masklet_id": masklet.masklet_id,
            "label": masklet.label,
            "verdict": masklet.verdict,
            "split": sequence.split or _NO_SPLIT,
            "attributes": json.dumps(sequence.video.attributes or {}),
            "boxes_xywh": [bbox_of(frame) for frame in masklet.frames],
            **frames,
        }


def _mask_name(sequence: Sequence, masklet: Masklet) -> str:
    return f"{sequence.name}_object_{masklet.object_id:03d}{FFV1.suffix}"
