"""Speed and memory of exports: `python -m tests.bench.export`.

A dataset of real clips (the 72 frames of a sample at 480x270) with one made-up masklet each: a
ragged ellipse that moves. `masklets_per_s` is the whole export of each format with pictures.
`png_over_cv2` is frames per second of DAVIS's palette PNGs, with the reading of rows, the manifest
and the checksums, over a bare loop that decodes each RLE with pycocotools and calls `cv2.imwrite`,
rows already read; the two take turns, on enough frames that starts weigh little. No file is deleted
before the end: ext4 without a journal steps over each inode that was just freed, which took longer
than all else in both. Peak memory is that of a process of its own, for few masklets and for many.
Prints a table, writes `export.json` beside this file, ends with one line of JSON.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import cv2
import numpy as np
from pycocotools import mask as coco
from rich.console import Console

from pvtt_flow import open_dataset
from pvtt_flow.core import ids, rle
from pvtt_flow.core.mask_shape import shape_of
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.export import export
from pvtt_flow.export.formats import FORMATS
from pvtt_flow.storage.listing import stat_all
from pvtt_flow.types import Masklet, MaskletFrame
from tests.bench.compare import Spread
from tests.bench.machine import describe
from tests.dataset.dataset_rows import masklet, measurements, video_record
from tests.pipeline.runs import sample
from tests.video.clip_maker import read

OUTPUT = Path(__file__).with_name("export.json")
CLIP = "one_product.mp4"
WIDTH_PX, HEIGHT_PX = 480, 270
NUM_MASKLETS, MANY, NUM_ROUNDS = 12, 96, 7


def make_dataset(folder: Path, num_videos: int) -> str:
    """Write a dataset whose videos are copies of one clip; return its uri."""
    folder.mkdir()
    dataset = Dataset(str(folder / "dataset"))
    dataset.ensure()
    times = [(frame.frame_index, frame.pts_ns) for frame in read(sample(CLIP))]
    for number in range(num_videos):
        name = f"clip{number:03d}"
        path = folder / f"{name}.mp4"
        shutil.copyfile(sample(CLIP), path)
        (info,) = stat_all([str(path)])
        facts = {"uri": str(path), "etag": info.etag, "size_bytes": info.size_bytes}
        video = video_record(name, num_masklets=1, **facts)
        rows = [_masklet(name, number, times)]
        dataset.commit(dataset.write_masklets(rows), [video], run_id="bench")
    return dataset.uri


def _masklet(video: str, seed: int, times: list[tuple[int, int]]) -> Masklet:
    chance = np.random.default_rng(seed)
    shot_id = ids.shot_id(video, 0, 0)
    return masklet(
        video,
        masklet_id=ids.masklet_id(shot_id, 0),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        frames=tuple(_frame(chance, *time) for time in times),
        qc=measurements(1.0, num_frames=len(times)),
    )


def _frame(chance: np.random.Generator, index: int, pts_ns: int) -> MaskletFrame:
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    ragged = cv2.resize(chance.random((17, 30)), (WIDTH_PX, HEIGHT_PX))
    distance = ((x - 120 - 3 * index) / 90) ** 2 + ((y - 130) / 70) ** 2
    mask = distance + ragged < 1.3
    counts = rle.encode(mask)
    return MaskletFrame(
        frame_index=index,
        pts_ns=pts_ns,
        rle=counts,
        box_xyxy=rle.box_of(mask),
        area_px=int(mask.sum()),
        object_score=5.0,
        predicted_iou=0.9,
        fragments=shape_of(counts, HEIGHT_PX).fragments,
    )


def seconds(uri: str, name: str, scratch: Path, *, pictures: bool = True) -> float:
    """Return the seconds of an export into a new folder in `scratch`."""
    to = mkdtemp(dir=scratch)
    started = time.perf_counter()
    export(uri, name, to, pictures=pictures)
    return time.perf_counter() - started


def bare_loop(uri: str, scratch: Path) -> float:
    """Return the seconds of a loop over the same masks, rows already read."""
    rows = open_dataset(uri).masklets().to_table(columns=["frames"])["frames"].to_pylist()
    to = mkdtemp(dir=scratch)
    started = time.perf_counter()
    for number, frames in enumerate(rows):
        for position, frame in enumerate(frames):
            counts = {"size": [HEIGHT_PX, WIDTH_PX], "counts": frame["rle"]}
            cv2.imwrite(f"{to}/{number}_{position:05d}.png", coco.decode(counts))
    return time.perf_counter() - started


def peak_bytes(uri: str) -> int:
    """Return the peak memory of a process that exports to DAVIS and to Parquet."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.export", "--peak", uri],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


def _measure(folder: Path) -> dict[str, object]:
    few, many = make_dataset(folder / "few", NUM_MASKLETS), make_dataset(folder / "many", MANY)
    ratios: list[float] = []
    for _ in range(NUM_ROUNDS):
        ours = seconds(many, "davis", folder, pictures=False)
        ratios.append(bare_loop(many, folder) / ours)
    return {
        "png_over_cv2": asdict(Spread.of(ratios)),
        "masklets_per_s": {
            name: round(NUM_MASKLETS / seconds(few, name, folder), 2)
            for name, kind in FORMATS.items()
            if not kind.takes_profile
        },
        "peak_bytes": peak_bytes(many),
        "peak_bytes_many_over_few": round(peak_bytes(many) / peak_bytes(few), 3),
    }


def main() -> None:
    """Measure, or be the process whose memory is measured."""
    if sys.argv[1:2] == ["--peak"]:
        with TemporaryDirectory() as folder:
            for name in ("davis", "parquet"):
                seconds(sys.argv[2], name, Path(folder))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        return
    with TemporaryDirectory() as folder:
        measured = _measure(Path(folder))
    Console().print(measured)
    record = {"machine": describe("tests.bench.export"), **measured}
    OUTPUT.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
