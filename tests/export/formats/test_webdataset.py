"""Shards, read by WebDataset."""

import io
import tarfile
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from pvtt_flow.export import export
from tests.export.formats.decoders import with_pyav
from tests.export.odd_dataset import LABELS, NUM_FRAMES, OddDataset, masks_of
from tests.video.clip_maker import number_of


def test_samples(odd: OddDataset, tmp_path: Path) -> None:
    import webdataset

    export(odd.uri, "webdataset", str(tmp_path / "to"))
    (shard,) = (tmp_path / "to").glob("*.tar")
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == ["odd", "turned"]
    for sample in samples:
        video, facts = sample["__key__"], sample["json"]
        pictures = with_pyav(io.BytesIO(sample["mp4"]))
        assert [number_of(picture) for picture in pictures] == list(range(NUM_FRAMES))
        assert odd.frames(video).items() <= facts.items()
        assert facts["attributes"]["sku"] == f"sku-{video}"
        assert [track["label"] for track in facts["tracks"]] == list(LABELS)
        for object_id, track in enumerate(facts["tracks"]):
            for rle, expected in zip(
                track["segmentations"], masks_of(video, object_id), strict=True
            ):
                mask = np.zeros_like(expected) if rle is None else coco_mask.decode(rle) > 0
                assert np.array_equal(mask, expected)


def test_a_shard_for_each_split(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "webdataset", str(tmp_path / "to"), split="sku", pictures=False)
    shards = {path.name: path for path in (tmp_path / "to").glob("*.tar")}
    assert shards.keys() == {"sku-odd-00000000.tar", "sku-turned-00000000.tar"}
    with tarfile.open(shards["sku-turned-00000000.tar"]) as tar:
        assert tar.getnames() == ["turned.json"]
