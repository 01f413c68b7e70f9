"""YouTube-VIS and SA-Co/VEval: COCO with a video in place of an image.

    <split>/JPEGImages/<sequence>/00000.jpg      <split>/instances.json

Fields of YouTube-VIS are those of youtubevos/cocoapi (PythonAPI/pycocotools/ytvos.py); lists over
frames are null where the object is absent. SA-Co/VEval (facebookresearch/sam3,
scripts/eval/veval/README.md) adds noun phrases and their pairs with videos, also with those that do
not show the phrase: `num_masklets` is 0 there.
"""

from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from typing import Any

from pvtt_flow.export.formats import coco_rows
from pvtt_flow.export.formats.format import Format, Part, Written, WrittenSequence
from pvtt_flow.export.formats.json_lists import JsonLists
from pvtt_flow.export.formats.pictures import write_jpegs
from pvtt_flow.export.sequence import Sequence


class YouTubeVis(Format):
    """Folders and `instances` files of YouTube-VIS 2021."""

    name = "youtube-vis"
    summary = "YouTube-VIS 2021: JPEG frames, tracks as lists of RLEs"
    _file = "instances.json"
    _lists: tuple[str, ...] = ("videos", "annotations")

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the pictures."""
        if self.options.pictures:
            pictures = folder / coco_rows.split_of(sequence) / "JPEGImages" / sequence.name
            write_jpegs(pictures, sequence, self.options.jpeg_quality)
        elif not sequence.masklets:
            for _ in sequence.frames():  # only the video knows its number of frames
                pass
        height_px, width_px = sequence.size
        tracks = [coco_rows.track_of(masklet) for masklet in sequence.masklets]
        return {"height": height_px, "width": width_px, "tracks": tracks}

    def finish(self, written: Written, folder: Path) -> None:
        """Write a file of annotations for each split."""
        categories = coco_rows.categories_of(self.contents.labels)
        head = {"info": coco_rows.info(), "licenses": [], "categories": categories}
        with ExitStack() as stack:
            files = {
                split: stack.enter_context(
                    JsonLists(folder / split / self._file, head, self._lists)
                )
                for split in self.contents.splits or (coco_rows.NO_SPLIT,)
            }
            for sequence in written():
                split = sequence.facts["split"] or coco_rows.NO_SPLIT
                self._append(files[split], sequence, categories)

    def _append(
        self, file: JsonLists, sequence: WrittenSequence, categories: list[dict[str, Any]]
    ) -> None:
        ids = {category["name"]: category["id"] for category in categories}
        video_id = file.append("videos", _video(sequence))
        for track in sequence.part["tracks"]:
            areas = [area for area in track["areas"] if area is not None]
            annotation = {
                "video_id": video_id,
                "category_id": ids[track["label"]],
                "iscrowd": 0,
                "height": track["height"],
                "width": track["width"],
                "length": len(track["areas"]),
                "segmentations": track["segmentations"],
                "bboxes": track["bboxes"],
                "areas": track["areas"],
                "avg_area": fmean(areas) if areas else 0.0,
                "masklet_id": track["masklet_id"],
                **self._phrase(track["label"]),
            }
            file.append("annotations", annotation)

    def _phrase(self, label: str) -> dict[str, str]:
        del label
        return {}


class SacoVeval(YouTubeVis):
    """Files of SA-Co/VEval, with the videos in which the detector found no product."""

    name = "saco-veval"
    summary = "SA-Co/VEval of SAM 3: noun phrases with their videos, negatives included"
    negatives = True
    _file = "saco_veval.json"
    _lists = ("videos", "annotations", "video_np_pairs")

    def _append(
        self, file: JsonLists, sequence: WrittenSequence, categories: list[dict[str, Any]]
    ) -> None:
        super()._append(file, sequence, categories)
        labels = [track["label"] for track in sequence.part["tracks"]]
        for category in categories:
            # Where the detector found one product, it may have left out others.
            if labels and category["name"] not in labels:
                continue
            pair = {
                "video_id": file.count("videos"),
                "category_id": category["id"],
                "noun_phrase": category["name"],
                "num_masklets": labels.count(category["name"]),
            }
            file.append("video_np_pairs", pair)

    def _phrase(self, label: str) -> dict[str, str]:
        return {"noun_phrase": label}


def _video(sequence: WrittenSequence) -> dict[str, Any]:
    facts = sequence.facts
    length = len(facts["frame_index"])
    return {
        "video_name": facts["sequence"],
        "file_names": coco_rows.file_names(facts["sequence"], length),
        "height": sequence.part["height"],
        "width": sequence.part["width"],
        "length": length,
        "frame_index": facts["frame_index"],
        "pts_ns": facts["pts_ns"],
    }
