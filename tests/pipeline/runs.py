"""Real runs of small folders, with the embedded models, for tests to look at."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

import pvtt_flow as package
from pvtt_flow import open_dataset
from pvtt_flow.types import VideoRecord
from pvtt_flow.video.decode import TruncatedVideoError
from pvtt_flow.video.read import read_frames
from tests.cli.terminal import Ended, pvtt_flow
from tests.stages.bad_videos import BAD_VIDEOS

GOOD_VIDEOS = ("one_product.mp4", "two_products.mp4", "truncated.mp4")
# Enough frames to be a track, few enough for a test.
STRIDE = 6


@dataclass(frozen=True)
class MixedRun:
    """Result of a run."""

    config: Path
    videos: Path
    dataset: str
    ended: Ended

    def video_records(self) -> dict[str, VideoRecord]:
        """The rows of `videos`, by file name."""
        return {
            Path(record.uri).name: record for record in open_dataset(self.dataset).find_videos("")
        }


def sample(name: str) -> Path:
    """Return the path of a sample clip of the package."""
    return Path(package.__path__[0]) / "samples" / name


def write_config(path: Path, input_uri: object, output_uri: object) -> Path:
    """A config with the embedded models, which finds something in every picture."""
    config: Mapping[str, object] = {
        "input": {"uri": str(input_uri)},
        "output": {"uri": str(output_uri)},
        "sampling": {"stride": STRIDE},
        "detect": {"min_score": 0.01, "max_products": 2},
        "run": {"commit_interval_s": 0.5, "max_attempts": 2, "contact_sheet_videos": 4},
    }
    path.write_text(yaml.safe_dump(config))
    return path


def run_mixed_folder(home: Path) -> MixedRun:
    """Make a folder with every sort of file in it, and run it."""
    videos = home / "videos"
    videos.mkdir()
    for name in GOOD_VIDEOS:
        shutil.copy(sample(name), videos / name)
    for name, bad in BAD_VIDEOS.items():
        bad.make(videos / name)
    (videos / "notes.txt").write_text("no video, and not called one")
    config = write_config(home / "config.yaml", videos, home / "dataset")
    return MixedRun(config, videos, str(home / "dataset"), pvtt_flow("run", config))


def num_good_frames(video: Path) -> int:
    """Frames up to where the video ends or breaks."""
    num_frames = 0
    with video.open("rb") as file, suppress(TruncatedVideoError):
        for _ in read_frames(file):
            num_frames += 1
    return num_frames


def num_processed(video: Path) -> int:
    """Return the number of frames that sampling takes."""
    return -(-num_good_frames(video) // STRIDE)
