"""FiftyOne: a clip and ETA's video labels for each sequence.

    manifest.json     data/<sequence>.mp4     labels/<sequence>.json

or the same below `<split>/`. `fiftyone.types.FiftyOneVideoLabelsDataset` reads it. Frames count
from 1. An object is a Detection with its mask within its box; `index` is the number of its track.
Index, time and hash of each frame in the source are labels of the frame.
"""

import base64
import io
import json
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.export.formats.clips import write_clip
from pvtt_flow.export.formats.format import Format, Part, Written
from pvtt_flow.export.formats.json_lists import write_json
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.types import Masklet

_FRACTION_BITS = 30
_ATTRIBUTE = "eta.core.data.{}Attribute"
_SAMPLE_FACTS = ("video_id", "shot_id", "uri")
_SCORES = ("object_score", "predicted_iou")


class FiftyOne(Format):
    """Clips and labels of FiftyOne; it is not needed to write them."""

    name = "fiftyone"
    summary = "FiftyOneVideoLabelsDataset: clips, instance masks and tracks"

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the clip and the labels."""
        home = folder / (sequence.split or "")
        (home / "labels").mkdir(parents=True)
        if self.options.pictures:
            (home / "data").mkdir()
            write_clip(home / f"data/{sequence.name}.mp4", sequence)
        write_json(home / f"labels/{sequence.name}.json", _labels(sequence))
        return {}

    def finish(self, written: Written, folder: Path) -> None:
        """Write the manifest of each split."""
        records: dict[str, list[dict[str, str]]] = defaultdict(list)
        for sequence in written():
            name = sequence.facts["sequence"]
            record = {"data": f"data/{name}.mp4", "labels": f"labels/{name}.json"}
            records[sequence.facts["split"] or ""].append(record)
        for split, index in records.items():
            home = folder / split
            home.mkdir(exist_ok=True)
            kind = "eta.core.datasets.LabeledVideoDataset"
            write_json(home / "manifest.json", {"type": kind, "description": "", "index": index})


def fraction_of(coordinate_px: int, side_px: int) -> float:
    """Return a coordinate as a fraction of a side that FiftyOne turns into the same pixel.

    It stores corner and size, adds them again, and cuts `fraction * side` to a whole number
    (`RelativePoint.coords_in` of eta/core/geometry.py), so that a fraction which is the least bit
    too small moves a mask. Multiples of 2**-30 are added and multiplied exactly; this is the next
    one that is not too small.
    """
    return -(-(coordinate_px << _FRACTION_BITS) // side_px) / (1 << _FRACTION_BITS)


def _labels(sequence: Sequence) -> dict[str, Any]:
    facts = sequence.facts()
    about: dict[str, Any] = {name: facts[name] for name in _SAMPLE_FACTS}
    attributes = json.dumps(facts["attributes"], ensure_ascii=False)
    positions = range(len(sequence.times))
    return {
        "attrs": _attributes(**about, attributes=attributes),
        "frames": {str(position + 1): _frame(sequence, position) for position in positions},
    }


def _frame(sequence: Sequence, position: int) -> dict[str, Any]:
    facts = {name: values[position] for name, values in sequence.frame_facts().items()}
    objects = (_object(sequence, masklet, position) for masklet in sequence.masklets)
    return {
        "frame_number": position + 1,
        "attrs": _attributes(**facts),
        "objects": {"objects": [found for found in objects if found]},
    }


def _object(sequence: Sequence, masklet: Masklet, position: int) -> dict[str, Any] | None:
    frame = masklet.frames[position]
    if frame.box_xyxy is None:
        return None
    height_px, width_px = sequence.size
    x0, y0, x1, y1 = frame.box_xyxy
    scores = {name: getattr(frame, name) for name in _SCORES}
    return {
        "type": "eta.core.objects.DetectedObject",
        "label": masklet.label,
        "index": masklet.object_id,
        "bounding_box": {
            "top_left": {"x": fraction_of(x0, width_px), "y": fraction_of(y0, height_px)},
            "bottom_right": {"x": fraction_of(x1, width_px), "y": fraction_of(y1, height_px)},
        },
        "mask": _serialized(sequence.mask(masklet, position)[y0:y1, x0:x1]),
        "attrs": _attributes(masklet_id=masklet.masklet_id, verdict=masklet.verdict, **scores),
    }


def _serialized(mask: NDArray[np.bool_]) -> str:
    """Return an array as `serialize_numpy_array` of eta/core/serial.py does."""
    data = io.BytesIO()
    np.save(data, mask)
    return base64.b64encode(zlib.compress(data.getvalue())).decode()


def _attributes(**values: float | str | None) -> dict[str, Any]:
    """Return ETA's attributes; it has none without a value."""
    return {
        "attrs": [
            {
                "type": _ATTRIBUTE.format("Categorical" if isinstance(value, str) else "Numeric"),
                "name": name,
                "value": value,
            }
            for name, value in values.items()
            if value is not None
        ]
    }
