"""COCO: each frame is an image, each mask an annotation with an RLE.

    images/<split>/<sequence>/00000.jpg      annotations/instances_<split>.json

Fields are those of cocodataset.org/#format-data. Without splits, the split is named `all`.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pvtt_flow.export.formats import coco_rows
from pvtt_flow.export.formats.format import Format, Part, Written, WrittenSequence
from pvtt_flow.export.formats.json_lists import JsonLists
from pvtt_flow.export.formats.pictures import write_jpegs
from pvtt_flow.export.sequence import Sequence

_LISTS = ("images", "annotations")


class Coco(Format):
    """Images and `instances` files of COCO."""

    name = "coco"
    summary = "COCO instance segmentation: an image for each frame"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the pictures."""
        if self.options.pictures:
            pictures = folder / "images" / coco_rows.split_of(sequence) / sequence.name
            write_jpegs(pictures, sequence, self.options.jpeg_quality)
        return {"tracks": [coco_rows.track_of(masklet) for masklet in sequence.masklets]}

    def finish(self, written: Written, folder: Path) -> None:
        """Write a file of annotations for each split."""
        categories = coco_rows.categories_of(self.contents.labels)
        ids = {category["name"]: category["id"] for category in categories}
        head = {"info": coco_rows.info(), "licenses": [], "categories": categories}
        with ExitStack() as stack:
            files = {
                split: stack.enter_context(
                    JsonLists(folder / f"annotations/instances_{split}.json", head, _LISTS)
                )
                for split in self.contents.splits or (coco_rows.NO_SPLIT,)
            }
            for sequence in written():
                split = sequence.facts["split"] or coco_rows.NO_SPLIT
                _append(files[split], sequence, ids)


def _append(file: JsonLists, sequence: WrittenSequence, ids: dict[str, int]) -> None:
    facts, tracks = sequence.facts, sequence.part["tracks"]
    names = coco_rows.file_names(facts["sequence"], len(facts["frame_index"]))
    for position, name in enumerate(names):
        image: dict[str, Any] = {
            "file_name": name,
            "width": tracks[0]["width"],
            "height": tracks[0]["height"],
            "sequence": facts["sequence"],
            "frame_index": facts["frame_index"][position],
            "pts_ns": facts["pts_ns"][position],
        }
        image_id = file.append("images", image)
        for track in tracks:
            if track["segmentations"][position] is not None:
                annotation = {
                    "image_id": image_id,
                    "category_id": ids[track["label"]],
                    "segmentation": track["segmentations"][position],
                    "bbox": track["bboxes"][position],
                    "area": track["areas"][position],
                    "iscrowd": 0,
                    "masklet_id": track["masklet_id"],
                }
                file.append("annotations", annotation)
