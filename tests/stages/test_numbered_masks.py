"""A mask is that of its frame, in the whole way from the file through the engine.

In every clip a disk moves on by a few pixels from one picture to the next, so where its mask lies
tells of which picture it is; a mask that is one frame late lies off by all of that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams
from pvtt_flow.models.factory import build_tracker
from pvtt_flow.models.tracker import Tracker, TrackerParams
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Masklet
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import Box, box_prompt, record_of
from tests.video.clip_edits import set_edit_list
from tests.video.clip_maker import EncodeOptions, encode_images

Rgb = NDArray[np.uint8]
NUM_PICTURES, STEP_PX = 44, 6
WIDTH_PX, HEIGHT_PX, RADIUS_PX = 320, 180, 22
CLOSED = {"preset": "fast", "g": "12", "crf": "12"}
UNEVEN_MS = [0, *np.cumsum(np.random.default_rng(1).integers(8, 90, NUM_PICTURES - 1)).tolist()]


def centre(number: int) -> tuple[int, int]:
    """Return the center of the disk in a frame, x and y in pixels."""
    return 30 + STEP_PX * number, HEIGHT_PX // 2


def box_of(number: int) -> Box:
    x, y = centre(number)
    return x - RADIUS_PX, y - RADIUS_PX, x + RADIUS_PX + 1, y + RADIUS_PX + 1


def picture(number: int) -> Rgb:
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), (150, 160, 165), np.uint8)
    return np.asarray(cv2.circle(rgb, centre(number), RADIUS_PX, (190, 40, 30), -1), np.uint8)


def clip(path: Path, **arguments: Unpack[EncodeOptions]) -> Path:
    pictures = [picture(number) for number in range(NUM_PICTURES)]
    arguments["options"] = CLOSED
    return encode_images(path, pictures, **arguments)


@dataclass(frozen=True)
class Case:
    make: Callable[[Path], Path]
    numbers: Sequence[int] = range(NUM_PICTURES)
    """Return the centers in all frames of a file, in order."""
    pts_ms: Sequence[int] = tuple(40 * i for i in range(NUM_PICTURES))
    prompt_frame: int = 0
    shot: tuple[int, int] = (0, NUM_PICTURES)
    stride: int = 1


CASES = {
    "plain": Case(lambda folder: clip(folder / "c.mp4")),
    "uneven times": Case(lambda folder: clip(folder / "c.mkv", pts_ms=UNEVEN_MS), pts_ms=UNEVEN_MS),
    "turned": Case(lambda folder: clip(folder / "c.mp4", rotation_deg=90)),
    "edit list": Case(
        lambda folder: set_edit_list(clip(folder / "c.mp4"), 5, 42), range(5, 42), shot=(0, 37)
    ),
    "prompted late, so also back": Case(lambda folder: clip(folder / "c.mp4"), prompt_frame=37),
    "a late shot, after a seek": Case(
        lambda folder: clip(folder / "c.mp4"), prompt_frame=37, shot=(30, 44)
    ),
    "every third": Case(lambda folder: clip(folder / "c.mp4"), prompt_frame=36, stride=3),
}


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return build_tracker(TrackerParams(device="cpu"), None, open_binary)


def masklet_of(tracker: Tracker, path: Path, case: Case) -> Masklet:
    prompt = box_prompt(0, box_of(case.numbers[case.prompt_frame]), case.prompt_frame)
    source = replace(record_of(path, prompt).source, shots=(case.shot,))
    (record,) = Inspect(ShotParams(), DEFAULT_LIMITS)([replace(record_of(path), source=source)])
    sampling = SamplingParams(stride=case.stride) if case.stride > 1 else EVERY_FRAME
    (done,) = Propagate(tracker, sampling, DEFAULT_LIMITS)([replace(record, prompts=(prompt,))])
    assert done.failure is None, done.failure
    (masklet,) = done.masklets
    return masklet


@pytest.mark.parametrize("name", CASES)
def test_masks_lie_where_their_pictures_disk_does(
    tracker: Tracker, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    masklet = masklet_of(tracker, case.make(tmp_path), case)
    indices = list(range(*case.shot, case.stride))
    assert [f.frame_index for f in masklet.frames] == indices
    assert [f.pts_ns for f in masklet.frames] == [1_000_000 * case.pts_ms[i] for i in indices]
    assert (masklet.width_px, masklet.height_px) == (WIDTH_PX, HEIGHT_PX)
    for frame in masklet.frames:
        assert frame.rle is not None
        mask = rle.decode(frame.rle, HEIGHT_PX, WIDTH_PX)
        y, x = (float(np.median(axis)) for axis in np.nonzero(mask))
        expected_x, expected_y = centre(case.numbers[frame.frame_index])
        assert abs(x - expected_x) < STEP_PX / 2, frame.frame_index
        assert abs(y - expected_y) < STEP_PX / 2, frame.frame_index
