"""Print an export as FiftyOne has it in its database; runs in FiftyOne's own environment.

python fiftyone_script.py FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import fiftyone
import numpy as np


def main() -> None:
    """Import the folder as a user does, and print each sample and its frames as JSON."""
    dataset = fiftyone.Dataset.from_dir(
        dataset_dir=sys.argv[1],
        dataset_type=fiftyone.types.FiftyOneVideoLabelsDataset,
        progress=False,
    )
    print(json.dumps({Path(sample.filepath).stem: as_json(sample) for sample in dataset}))


def as_json(sample: Any) -> dict[str, Any]:
    size = frame_size(sample.filepath)
    return {
        "filepath": sample.filepath,
        "video_id": sample.video_id.label,
        "attributes": sample.attributes.label,
        "frames": {
            number: {
                "frame_index": frame.frame_index.label,
                "pts_ns": frame.pts_ns.label,
                "rgb_blake2b": frame.rgb_blake2b.label,
                "objects": [as_object(found, size) for found in objects_of(frame)],
            }
            for number, frame in sample.frames.items()
        },
    }


def objects_of(frame: Any) -> list[Any]:
    return list(frame.detections.detections) if frame.detections is not None else []


def as_object(detection: Any, size: tuple[int, int]) -> dict[str, Any]:
    mask = detection.to_segmentation(frame_size=size, target=1).get_mask()
    return {
        "index": detection.index,
        "label": detection.label,
        "masklet_id": detection.masklet_id,
        "object_score": detection.object_score,
        "mask": np.packbits(mask > 0).tobytes().hex(),
    }


def frame_size(path: str) -> tuple[int, int]:
    """Return width and height."""
    video = cv2.VideoCapture(path)
    return int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))


if __name__ == "__main__":
    main()
