"""Public API: its names, its cost, and that documents use nothing else."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pvtt_flow
from pvtt_flow import load_config, open_dataset, overlay, plan, read_frames, run
from pvtt_flow.core import rle
from tests.pipeline.runs import MixedRun, sample, write_config

ROOT = Path(__file__).parents[1]
PUBLIC = """
    ClusterError ConfigError DataError DatasetSnapshot Frame Judged Masklet MaskletFrame
    Measurements Plan PreflightError Profile Prompt PvttFlowError QcThresholds RunConfig StoreError
    Summary VideoRecord decode_mask export_dataset judge load_config load_profile open_dataset
    overlay plan read_frames relocate run
"""
HEAVY = ("torch", "ray", "av", "pyarrow", "numpy", "ultralytics", "cv2", "pydantic", "deltalake")


def test_the_public_names_are_these_and_exist() -> None:
    assert pvtt_flow.__all__ == PUBLIC.split()
    assert all(getattr(pvtt_flow, name) is not None for name in pvtt_flow.__all__)
    with pytest.raises(AttributeError, match="module 'pvtt_flow' has no attribute 'nothing'"):
        pvtt_flow.nothing  # noqa: B018


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = f"import sys, pvtt_flow; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imports(code: str) -> set[str]:
    """Return the modules of the package that a piece of code imports from."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    return {name for name in names if name.startswith("pvtt_flow")}


def test_readme_and_notebook_import_only_the_package() -> None:
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    notebook = json.loads((ROOT / "notebooks" / "first_look.ipynb").read_text())
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    used = set[str]().union(*(imports(code) for code in [*readme, *cells]))
    assert used == {"pvtt_flow"}


@pytest.mark.slow
def test_a_run_from_python_makes_a_dataset_that_can_be_looked_at(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", sample("one_product.mp4"), tmp_path / "dataset")
    config = load_config(path, ["sampling.stride=12"])
    assert plan(config).counts["new"] == 1
    summary = run(config)
    assert (summary.num_videos, summary.statuses) == (1, {"ok": 1})
    assert (tmp_path / "dataset" / "runs" / f"{summary.run_id}.json").exists()
    assert plan(config).counts == plan(config).counts | {"new": 0, "unchanged": 1}

    dataset = open_dataset(config.output.uri)
    (record,) = dataset.list_videos()
    assert dataset.find_videos("one-product") == [record]
    masklets = dataset.masklets_of(record.video_id)
    assert len(masklets) == summary.num_masklets > 0
    assert dataset.ray().count() == summary.num_masklets
    first = masklets[0].frames[0]
    assert first.rle is not None
    mask = pvtt_flow.decode_mask(first.rle, masklets[0].height_px, masklets[0].width_px)
    assert mask.sum() == first.area_px
    assert rle.box_of(mask) == first.box_xyxy
    frame = read_frames(record.uri, [first.frame_index])[first.frame_index]
    drawn = overlay(frame, masklets)
    assert drawn.shape == frame.rgb.shape
    assert np.any(drawn[mask] != frame.rgb[mask])


def test_masklets_are_those_of_the_videos_asked_for(mixed_run: MixedRun) -> None:
    dataset = open_dataset(mixed_run.dataset)
    records = {record.video_id: record for record in dataset.list_videos()}
    assert records.keys() == {r.video_id for r in mixed_run.video_records().values()}
    for video_id, record in records.items():
        assert len(dataset.masklets_of(video_id)) == record.num_masklets
    assert len(dataset.find_videos("", limit=2)) == 2
