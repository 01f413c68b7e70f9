"""Cost of the report of a large dataset: `python -m tests.bench.report [--masklets N]`.

One dataset of N made-up masklets (two a video, 24 frames each, masks that compress like real ones)
and their videos is written once. Then processes of their own make its page without pictures: the
page alone, with the fitness of the sample for all profiles, and compared with a version of half as
many videos. Last, a browser opens the page if there is one, for the seconds until its script has
run.

Prints one line of JSON and writes `report.json` beside this file.
"""

import argparse
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.file_actions import FileActions
from pvtt_flow.dataset.history import open_snapshot
from pvtt_flow.dataset.tables import BUCKET, MASKLETS, bucket_of, write_file
from pvtt_flow.dataset.transactions import Transaction, commit
from tests.bench.machine import describe
from tests.bench.memory import peak_bytes
from tests.bench.synthetic_masklets import A_VIDEO, rows_of
from tests.dataset.dataset_rows import video_record

OUTPUT = Path(__file__).with_name("report.json")
_NUM_MASKLETS = 100_000
_NUM_ROUNDS = 3
_VIDEOS_A_FILE = 2_000
_BROWSER = "chromium"


@dataclass(frozen=True, slots=True)
class Made:
    """Cost of a page."""

    what: str
    seconds: float
    """Median."""
    all_seconds: Sequence[float]
    peak_bytes: int
    """Peak memory of the process, the largest of the rounds."""
    started_bytes: int
    """Peak before, of imports and of opening the dataset."""
    page_bytes: int


def main() -> None:
    """Make the dataset and its pages."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.report")
    parser.add_argument("--masklets", type=int, default=_NUM_MASKLETS)
    options = parser.parse_args()
    machine = describe("tests.bench.report")
    with TemporaryDirectory(prefix="bench-") as folder:
        dataset = Dataset(f"{folder}/dataset")
        _write(dataset, options.masklets)
        page = Path(folder) / "report.html"
        made = [_measure(what, dataset.uri, page) for what in ("page", "fitness", "against")]
        sizes = [p.stat().st_size for p in Path(f"{folder}/dataset/masklets").rglob("*.parquet")]
        record = {
            "machine": machine,
            "masklets": options.masklets,
            "videos": options.masklets // A_VIDEO,
            "masklets_bytes": sum(sizes),
            "pages": [asdict(m) for m in made],
            "open_seconds": _open_seconds(page, Path(folder)),
        }
    OUTPUT.write_text(json.dumps(record, indent=1) + "\n")
    sys.stdout.write(json.dumps({k: v for k, v in record.items() if k != "machine"}) + "\n")


def _write(dataset: Dataset, num_masklets: int) -> None:
    """Write half of the videos as version 1 and the others as version 2, in order of their ids."""
    dataset.ensure()
    ids = sorted(f"product-{i:07d}-3f2a91c07b" for i in range(num_masklets // A_VIDEO))
    for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        by_bucket: dict[int, list[str]] = {}
        for video_id in half:
            by_bucket.setdefault(bucket_of(video_id), []).append(video_id)
        added = [
            write_file(
                f"{dataset.uri}/{MASKLETS}",
                rows_of(videos[start : start + _VIDEOS_A_FILE]),
                {BUCKET: str(bucket)},
            )
            for bucket, videos in sorted(by_bucket.items())
            for start in range(0, len(videos), _VIDEOS_A_FILE)
        ]
        actions = FileActions(added=tuple(added))
        commit(dataset.uri, lambda _, a=actions: Transaction(operation="run", masklets=a))  # type: ignore[misc]
        dataset.commit([], [video_record(v, num_masklets=A_VIDEO) for v in half], run_id="r1")


def _measure(what: str, uri: str, page: Path) -> Made:
    """Make the page in processes of their own, whose peaks of memory are theirs alone."""
    rounds = []
    for _ in range(_NUM_ROUNDS):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rounds.append(pool.apply(_make, (what, uri, page)))
    seconds = [seconds for seconds, *_ in rounds]
    peak, started = max((peak, started) for _, started, peak in rounds)
    return Made(what, median(seconds), seconds, peak, started, page.stat().st_size)


def _make(what: str, uri: str, page: Path) -> tuple[float, int, int]:
    """Return the seconds of one page, and the peak of memory before and after."""
    from pvtt_flow.export.profiles import shipped
    from pvtt_flow.report.make import Background, Request, make_report
    from pvtt_flow.report.render import render

    open_snapshot(uri)
    before = peak_bytes()
    started = time.perf_counter()
    earlier = open_snapshot(uri, open_snapshot(uri).version - 1) if what == "against" else None
    request = Request(with_pictures=False, against=earlier)
    profiles = shipped() if what == "fitness" else ()
    background = Background(made_at=datetime.now(UTC), profiles=profiles)
    page.write_text(render(make_report(open_snapshot(uri), request, background)), "utf-8")
    return time.perf_counter() - started, before, peak_bytes()


def _open_seconds(page: Path, folder: Path) -> list[float] | None:
    """Return the seconds in which a browser starts, opens the page, runs its script and ends."""
    if not (browser := shutil.which(_BROWSER)):
        return None
    seconds = []
    for _ in range(_NUM_ROUNDS):
        started = time.perf_counter()
        profile = f"--user-data-dir={folder / 'profile'}"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", profile]
        done = subprocess.run(
            [browser, *flags, "--dump-dom", page.as_uri()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "masklets shown" in done.stdout
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
