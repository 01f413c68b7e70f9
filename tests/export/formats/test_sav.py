"""SA-V folders, read as its evaluator does."""

from pathlib import Path

import numpy as np
from PIL import Image

from pvtt_flow.export import export
from tests.export.odd_dataset import NUM_FRAMES, OddDataset, mask_of
from tests.video.clip_maker import number_of


def test_a_folder_for_each_object(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "sav", str(tmp_path / "to"))
    for video in ("odd", "turned"):
        for object_id in (0, 1):
            folder = tmp_path / f"to/Annotations_6fps/{video}/{object_id:03d}"
            files = sorted(folder.iterdir())
            assert [path.name for path in files] == [f"{n:05d}.png" for n in range(NUM_FRAMES)]
            # sam2's vos_inference.py: load_ann_png, then `> 0`.
            masks = [np.array(Image.open(path)) > 0 for path in files]
            expected = [mask_of(video, object_id, position) for position in range(NUM_FRAMES)]
            assert np.array_equal(masks, expected)
        pictures = sorted((tmp_path / f"to/JPEGImages_24fps/{video}").iterdir())
        assert [number_of(np.array(Image.open(path))) for path in pictures] == list(
            range(NUM_FRAMES)
        )
    assert (tmp_path / "to/all.txt").read_text().split() == ["odd", "turned"]
