"""Clips by Blender, which is installed for the test: 0.4 GB to fetch, for Python 3.11 alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.test_library import make_catalog, make_sky

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="Blender's wheel is for Python 3.11"
    ),
]
UV = Path(sys.executable).with_name("uv")
BLENDER = "bpy==5.0.1"
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from pvtt_flow.training.render.cycles import cycles_clip
from pvtt_flow.training.render.library import Library, small_meshes
library = Library(tuple(small_meshes(Path(sys.argv[1]))), (Path(sys.argv[2]),))
for seed in (1, 1, 2):
    clip = cycles_clip(seed, 2, library, side_px=64)
    print(json.dumps({
        "shape": clip.frames.shape,
        "num_products": clip.num_products,
        "labels": np.unique(clip.labels).tolist(),
        "sum": int(clip.labels.astype(np.int64).cumsum().sum()),
        "contrast": float(clip.frames.std()),
    }))
"""
STAGED = """
import json, sys
from pathlib import Path
import numpy as np
from pvtt_flow.training.render.library import Library, small_meshes
from pvtt_flow.training.render.stage import Stage
from pvtt_flow.training.render.staged import shoot
library = Library(tuple(small_meshes(Path(sys.argv[1]))), (Path(sys.argv[2]),))
full, empty = (
    np.stack(list(shoot(Stage(meshes, "noon", 1, leaves=True), library, 5, (64, 36)))).astype(int)
    for meshes in (("cup",), ())
)
print(json.dumps(np.abs(full - empty).mean((1, 2, 3)).tolist()))
"""


@pytest.fixture(scope="module")
def blender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blender")
    command: list[str | Path] = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--no-deps",
    ]
    subprocess.run([*command, "--target", folder, BLENDER], check=True)
    return folder


def run_script(blender: Path, folder: Path, script: str) -> list[str]:
    """Return the lines that a script prints, given a catalog and a sky."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(blender)])
    arguments = [make_catalog(folder / "shop.sh3f"), make_sky(folder / "noon.exr.js")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_masks_are_those_of_the_products(blender: Path, tmp_path: Path) -> None:
    lines = run_script(blender, tmp_path, SCRIPT)
    clips = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(clips) == 3
    for clip in clips:
        assert clip["shape"][0] == 2
        assert clip["shape"][3] == 3
        # As many pixels as a square of 64 has, in another shape.
        assert abs(clip["shape"][1] * clip["shape"][2] - 64 * 64) < 200
        assert set(clip["labels"]) <= set(range(clip["num_products"] + 1))
        assert max(clip["labels"]) > 0
        assert clip["contrast"] > 5
    assert clips[0]["sum"] == clips[1]["sum"] != clips[2]["sum"]


def test_a_product_leaves_its_stage_and_returns(blender: Path, tmp_path: Path) -> None:
    differences = json.loads(run_script(blender, tmp_path, STAGED)[-1])
    # From the same camera, the table with the product and without it.
    assert differences[0] > 1
    assert differences[4] > 1
    assert differences[2] < differences[0] / 20
