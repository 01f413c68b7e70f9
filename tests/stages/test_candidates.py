"""Choice of the prompt frame, and tracking of the whole shot from there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core.boxes import iou
from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.qc import measure
from pvtt_flow.core.timeline import EVERY_FRAME, SamplingParams
from pvtt_flow.models.detector import Detector, DetectorParams
from pvtt_flow.models.factory import build_detector, build_tracker
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.propagate import Propagate
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.types import Detections, ShotRecord
from pvtt_flow.video.encode import write_mp4
from pvtt_flow.video.limits import DEFAULT_LIMITS
from pvtt_flow.video.read import read_frames
from tests.stages.fakes import FAILED, FakeDetector, box_prompt, inspected
from tests.video.clip_maker import encode_images, moving_image, number_of, write_clip

Rgb = NDArray[np.uint8]
SAMPLE = Path(__file__).parents[2] / "pvtt_flow" / "samples" / "leaves_and_returns.mp4"
NUM_FRAMES, NUM_SPOILED = 14, 4


class Sure(FakeDetector):
    """Sees boxes of these scores on each frame, which it knows by the number in the picture."""

    def __init__(self, scores_of: Callable[[int], Sequence[float]]) -> None:
        super().__init__()
        self._scores_of = scores_of
        self.seen: list[list[int]] = []
        """Frame numbers of each call."""

    def detect(self, pictures: Sequence[Rgb]) -> list[Detections]:
        self.seen.append([number_of(rgb) for rgb in pictures])
        return [self._on(number) for number in self.seen[-1]]

    def _on(self, number: int) -> Detections:
        scores = self._scores_of(number)
        boxes = [(30 * i, 20, 30 * i + 20, 40) for i in range(len(scores))]
        return Detections(
            boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            scores=np.array(scores, np.float32),
            labels=("cup",) * len(scores),
        )


def detect(
    records: Sequence[ShotRecord],
    detector: Detector,
    *,
    sampling: SamplingParams = EVERY_FRAME,
    **params: object,
) -> list[ShotRecord]:
    chosen = DetectParams.model_validate(params)
    return Detect(detector, chosen, sampling, DEFAULT_LIMITS)(records)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 24)


def black(rgb: Rgb) -> Rgb:
    return np.zeros_like(rgb)


def dim(rgb: Rgb) -> Rgb:
    return rgb // 3


def blurred(rgb: Rgb) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.05 * len(rgb)), np.uint8)


@pytest.mark.parametrize("spoil", [black, dim, blurred])
def test_the_first_sharp_frame(tmp_path: Path, spoil: Callable[[Rgb], Rgb]) -> None:
    # One scene, which moves; the code of its number is what the detector goes by, so it stays.
    pictures = [moving_image(i) for i in range(13)]
    for rgb in pictures[:2]:
        rgb[8:] = spoil(rgb)[8:]
    record = inspected(encode_images(tmp_path / "late.mp4", pictures, options={"crf": "10"}))
    detector = Sure(lambda _: (0.5,))
    (late,) = detect([record], detector, prompt_frame="sharp", num_candidates=13)
    assert detector.seen == [[2]], "the others are not looked at"
    assert [p.frame_index for p in late.prompts] == [2]


def test_the_sharp_frames_of_several_shots_are_one_batch(clip: Path) -> None:
    detector = Sure(lambda _: (0.5,))
    records = [inspected(clip), FAILED, *[inspected(clip)] * 8]
    done = detect(records, detector, prompt_frame="sharp")
    assert detector.seen == [[0] * 9]
    assert done[1] is FAILED


def test_the_most_confident_frame(clip: Path) -> None:
    detector = Sure(lambda number: (0.9 - abs(number - 13) / 100,))
    (record,) = detect([inspected(clip)], detector, prompt_frame="confident")
    assert detector.seen == [[0, 3, 6, 9, 12, 15, 18, 21]]
    (prompt,) = record.prompts
    assert prompt.frame_index == 12
    assert prompt.score == pytest.approx(0.89)


def test_more_products_count_for_more(clip: Path) -> None:
    def scores(number: int) -> Sequence[float]:
        return {6: (0.9, 0.8, 0.2), 9: (0.7, 0.7, 0.7)}.get(number, (0.95,))

    found = {
        num: {p.frame_index for p in record.prompts}
        for num in (1, 2, 3)
        for record in detect(
            [inspected(clip)], Sure(scores), prompt_frame="confident", max_products=num
        )
    }
    assert found == {1: {0}, 2: {6}, 3: {9}}


def test_only_products_that_are_chosen_count(clip: Path) -> None:
    """Too unsure ones add nothing, and what the manifest says of an object is no detection."""

    def scores(number: int) -> Sequence[float]:
        return (0.6, 0.2) if number == 3 else (0.7,)

    (unsure,) = detect([inspected(clip)], Sure(scores), prompt_frame="confident", max_products=2)
    assert {p.frame_index for p in unsure.prompts} == {0}
    given = box_prompt(0, (1, 2, 30, 40), 5)
    (added,) = detect(
        [inspected(clip, given)],
        Sure(scores),
        prompt_frame="confident",
        max_products=2,
        min_score=0.1,
    )
    assert added.prompts[0] == given
    assert [(p.object_id, p.frame_index) for p in added.prompts[1:]] == [(1, 3)]


def test_a_shot_without_a_product_on_any_candidate(clip: Path) -> None:
    (record,) = detect([inspected(clip)], Sure(lambda _: ()), prompt_frame="confident")
    assert (record.failure, record.prompts) == (None, ())


@pytest.mark.parametrize("choice", ["sharp", "confident"])
def test_the_prompt_frame_is_a_sampled_frame(clip: Path, choice: str) -> None:
    detector = Sure(lambda number: (0.5 + number / 100,))
    every_fifth = SamplingParams(stride=5)
    (record,) = detect([inspected(clip)], detector, sampling=every_fifth, prompt_frame=choice)
    expected = [0, 5, 10, 15, 20] if choice == "confident" else [0]
    assert detector.seen == [expected]
    assert {p.frame_index for p in record.prompts} == {expected[-1]}


@pytest.mark.parametrize(("num_shots", "pictures_a_call"), [(9, [16, 16, 4]), (32, [32] * 4)])
def test_few_pictures_are_held_at_once(
    clip: Path, num_shots: int, pictures_a_call: list[int]
) -> None:
    detector = Sure(lambda _: (0.5,))
    shots = [inspected(clip)] * num_shots
    detect(shots, detector, prompt_frame="confident", num_candidates=4)
    assert [len(seen) for seen in detector.seen] == pictures_a_call


def test_a_batch_that_breaks_is_repeated_shot_by_shot(clip: Path) -> None:
    class Breaks(Sure):
        def detect(self, pictures: Sequence[Rgb]) -> list[Detections]:
            if len(self.seen) == 1:
                self.seen.append([])
                raise RuntimeError("no memory")
            return super().detect(pictures)

    records = [inspected(clip)] * 9
    detector = Breaks(lambda _: (0.5,))
    done = detect(records, detector, prompt_frame="confident", num_candidates=4)
    assert [record.failure for record in done] == [None] * 9
    assert [len(seen) for seen in detector.seen] == [16, 0, 4, 4, 4, 4, 4]


def test_of_a_second_shot_only_its_own_frames_are_candidates(clip: Path) -> None:
    whole = inspected(clip)
    assert whole.shot is not None
    half = replace(
        whole, shot=replace(whole.shot, start_frame=12, times_ns=whole.shot.times_ns[12:])
    )
    detector = Sure(lambda number: (0.5 + number / 100,))
    (record,) = detect([half], detector, prompt_frame="confident", num_candidates=3)
    assert detector.seen == [[12, 16, 20]]
    assert [p.frame_index for p in record.prompts] == [20]


def beginning(path: Path, spoil: Callable[[Rgb], Rgb]) -> Path:
    """The sample's first frames, of which the very first are spoiled."""
    with SAMPLE.open("rb") as file:
        frames = [frame.rgb for frame in read_frames(file, stop_frame=NUM_FRAMES)]
    begun = [spoil(rgb) for rgb in frames[:NUM_SPOILED]]
    write_mp4(path, begun + frames[NUM_SPOILED:], Fraction(25))
    return path


def test_masks_reach_the_shots_first_frame(tmp_path: Path) -> None:
    detector = build_detector(DetectorParams(device="cpu"), None, open_binary)
    tracker = build_tracker(TrackerParams(device="cpu"), None, open_binary)
    propagate = Propagate(tracker, EVERY_FRAME, DEFAULT_LIMITS)
    clear = inspected(beginning(tmp_path / "clear.mp4", lambda rgb: rgb))
    late = inspected(beginning(tmp_path / "late.mp4", blurred))
    whole, lost = detect([clear, late], detector, min_score=0.5)
    choices = ("sharp", "confident")
    found = [
        record
        for choice in choices
        for record in detect([late], detector, min_score=0.5, prompt_frame=choice)
    ]
    assert lost.prompts == (), "nothing can be seen on the first frame"

    for record in propagate(found):
        (masklet,) = record.masklets
        (prompt,) = masklet.prompts
        assert prompt.frame_index >= NUM_SPOILED
        assert [f.frame_index for f in masklet.frames] == list(range(NUM_FRAMES))
        prompted = [f.frame_index for f in masklet.frames if "prompted" in f.flags]
        assert prompted == [prompt.frame_index]
        assert all(f.rle is not None for f in masklet.frames), "before the prompt and after it"
        boxes = np.array([whole.prompts[0].box_xyxy, masklet.frames[0].box_xyxy], np.float64)
        assert iou(boxes[:1], boxes[1:])[0, 0] > 0.5, "the region of the first frame"
        measured = measure(
            masklet.frames,
            masklet.prompts,
            width_px=masklet.width_px,
            height_px=masklet.height_px,
        )
        assert measured.prompt_iou is not None
        assert measured.prompt_iou > 0.5, "measured where the prompt is"
