"""Plain Parquet, read by DuckDB and pandas with nothing of this package."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from pvtt_flow.export import export
from tests.export.odd_dataset import LABELS, NUM_FRAMES, OddDataset, mask_of


def test_a_glob_gives_each_frame_once(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "parquet", str(tmp_path / "to"))
    rows = duckdb.execute(
        "SELECT sequence, object_id, position, rle, height_px, width_px, x0, attributes['sku'] "
        "FROM read_parquet($glob) ORDER BY ALL",
        {"glob": str(tmp_path / "to/*.parquet")},
    ).fetchall()
    assert len(rows) == 4 * NUM_FRAMES
    for video, object_id, position, counts, height_px, width_px, x0, sku in rows:
        expected = mask_of(video, object_id, position)
        assert (counts is not None) == expected.any() == (x0 is not None)
        if counts is not None:
            mask = coco_mask.decode({"size": [height_px, width_px], "counts": counts})
            assert np.array_equal(mask > 0, expected)
        assert sku == f"sku-{video}"
    for name in ("export.json", "sequences.jsonl", "checksums.sha256"):
        assert (tmp_path / "to" / name).exists()
    shutil.copytree(tmp_path / "to", tmp_path / "tables", ignore=_all_but_tables)
    table = pd.read_parquet(tmp_path / "tables")
    assert len(table) == 4 * NUM_FRAMES
    assert set(table["label"]) == set(LABELS)
    assert table.groupby("masklet_id")["area_px"].sum().to_dict() == {
        f"{video}/s0000@0/o00{n}": sum(int(mask_of(video, n, p).sum()) for p in range(NUM_FRAMES))
        for video in ("odd", "turned")
        for n in (0, 1)
    }


def _all_but_tables(folder: str, names: list[str]) -> list[str]:
    del folder
    return [name for name in names if not name.endswith(".parquet")]
