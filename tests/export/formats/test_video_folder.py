"""VideoFolder, read by Hugging Face `datasets`.

It finds videos and metadata; PyAV decodes, since torchcodec, with which `datasets` does, needs an
FFmpeg that is installed on the machine.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pvtt_flow.export import export
from tests.export.formats.decoders import with_pyav
from tests.export.odd_dataset import LABELS, NUM_FRAMES, OddDataset, masks_of
from tests.video.clip_maker import number_of


def load(folder: Path, cache: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of each split, with the paths of their videos."""
    from datasets import Video, load_dataset

    splits = load_dataset("videofolder", data_dir=str(folder), cache_dir=str(cache))
    for name in ("video", "mask"):
        if all(name in rows.features for rows in splits.values()):
            splits = splits.cast_column(name, Video(decode=False))
    return {name: list(rows) for name, rows in splits.items()}


@pytest.mark.parametrize("split", [None, "sku"])
def test_clips_masks_and_metadata(odd: OddDataset, tmp_path: Path, split: str | None) -> None:
    export(odd.uri, "videofolder", str(tmp_path / "to"), split=split)
    # `datasets` has names of its own for splits; others are in its `train`.
    rows = load(tmp_path / "to", tmp_path / "cache")["train"]
    assert len(rows) == 4
    for row in rows:
        video, object_id = row["masklet_id"].partition("/")[0], int(row["masklet_id"][-1])
        masks = np.array(with_pyav(Path(row["mask"]["path"])))
        assert np.array_equal(masks[..., 0] > 0, masks_of(video, object_id))
        pictures = with_pyav(Path(row["video"]["path"]))
        assert [number_of(picture) for picture in pictures] == list(range(NUM_FRAMES))
        assert odd.frames(video).items() <= row.items()
        assert row["label"] == LABELS[object_id]
        assert row["split"] == (f"sku-{video}" if split else "train")
        present = masks_of(video, object_id).any(axis=(1, 2))
        assert [box is not None for box in row["boxes_xywh"]] == present.tolist()


def test_splits_that_datasets_knows(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "videofolder", str(tmp_path / "to"), split="val=1.0")
    rows = load(tmp_path / "to", tmp_path / "cache")
    assert {name: len(of_split) for name, of_split in rows.items()} == {"validation": 4}


def test_masks_alone(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "videofolder", str(tmp_path / "to"), pictures=False)
    row = load(tmp_path / "to", tmp_path / "cache")["train"][0]
    masks = np.array(with_pyav(Path(row["video"]["path"])))
    assert np.array_equal(masks[..., 0] > 0, masks_of("odd", 0))
    assert "mask" not in row
