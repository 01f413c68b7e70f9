from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.shots import ShotParams
from pvtt_flow.core.timeline import EVERY_FRAME
from pvtt_flow.errors import ConfigError
from pvtt_flow.stages.detect import Detect
from pvtt_flow.stages.inspect import Inspect
from pvtt_flow.types import AddProducts, Detections, Prompt, ShotRecord
from pvtt_flow.video.limits import DEFAULT_LIMITS
from tests.stages.fakes import FAILED, Box, FakeDetector, box_prompt, inspected, record_of
from tests.video.clip_maker import encode_images, moving_image, number_of, write_clip

CUP: tuple[Box, float, str] = ((40, 20, 60, 40), 0.9, "cup")
BOTTLE: tuple[Box, float, str] = ((0, 10, 20, 50), 0.6, "bottle")
BOX_CORRECTION = Prompt(object_id=0, frame_index=0, box_xyxy=(1, 2, 30, 40), correction=True)
UNSURE: tuple[Box, float, str] = ((70, 0, 90, 20), 0.1, "cup")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 3)


def detect(
    records: Sequence[ShotRecord], detector: FakeDetector, **params: object
) -> list[ShotRecord]:
    chosen = DetectParams.model_validate(params)
    return Detect(detector, chosen, EVERY_FRAME, DEFAULT_LIMITS)(records)


def test_prompt_frames_of_several_videos_are_one_batch(tmp_path: Path, clip: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", 2, size_px=(128, 64))
    gone = inspected(write_clip(tmp_path / "gone.mp4", 2))
    Path(gone.source.uri).unlink()
    detector = FakeDetector(CUP, BOTTLE, UNSURE)
    records = [inspected(clip), FAILED, gone, inspected(wide)]
    first, failed, missing, last = detect(records, detector, max_products=2)

    assert detector.calls == [[(64, 96, 3), (64, 128, 3)]]
    assert failed is FAILED
    assert missing.failure is not None
    assert (missing.failure.stage, missing.failure.kind) == ("detect", "unreadable")
    for record in (first, last):
        assert record.failure is None
        assert [(p.object_id, p.label, p.box_xyxy) for p in record.prompts] == [
            (0, "cup", CUP[0]),
            (1, "bottle", BOTTLE[0]),
        ]
        assert record.timings.detect_s > 0
    assert first.source.video_id == "clip"


def test_the_detector_is_not_called_without_frames() -> None:
    detector = FakeDetector(CUP)
    assert detect([FAILED], detector) == [FAILED]
    assert detector.calls == []


@pytest.mark.parametrize("seen", [(), (UNSURE,)])
def test_no_product_is_no_failure(clip: Path, seen: tuple[tuple[Box, float, str], ...]) -> None:
    (record,) = detect([inspected(clip)], FakeDetector(*seen))
    assert record.failure is None
    assert record.prompts == ()


def test_manifest_prompts_override_and_add(clip: Path) -> None:
    better, added = box_prompt(0, (1, 2, 30, 40)), box_prompt(7, (5, 5, 9, 9), frame_index=2)
    (record,) = detect([inspected(clip, better, added)], FakeDetector(CUP, BOTTLE), max_products=2)
    assert record.prompts[:2] == (better, added)
    assert [(p.object_id, p.origin) for p in record.prompts[2:]] == [(1, "detector")]
    assert record.prompts[2].box_xyxy == BOTTLE[0]


def mask_rle(height_px: int, width_px: int) -> str:
    return rle.encode(np.ones((height_px, width_px), np.bool_))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (box_prompt(3, (0, 0, 98, 64)), "box_xyxy must fit the frame of 96x64, got (0, 0, 98, 64)"),
        (box_prompt(3, (-2, 0, 9, 9)), "box_xyxy must fit the frame of 96x64, got (-2, 0, 9, 9)"),
        (box_prompt(3, (9, 9, 9, 20)), "box_xyxy must fit the frame of 96x64, got (9, 9, 9, 20)"),
        (
            Prompt(object_id=3, frame_index=0, points_xy=((5, 5), (98, 5)), point_labels=(1, 0)),
            "points_xy must fit the frame of 96x64, got (98, 5)",
        ),
        (
            Prompt(object_id=3, frame_index=0, mask_rle=mask_rle(96, 96)),
            "mask_rle must fit the frame of 96x64, got other COCO counts",
        ),
    ],
)
def test_a_manifest_prompt_that_does_not_fit(clip: Path, prompt: Prompt, message: str) -> None:
    (bad, good) = detect([inspected(clip, prompt), inspected(clip)], FakeDetector(CUP))
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.kind) == ("detect", "bad_prompt")
    assert f"prompt of object 3 on frame 0: {message}" in bad.failure.message
    assert bad.prompts == ()
    assert [p.label for p in good.prompts] == ["cup"]


def test_a_mask_prompt_of_the_pictures_size_is_taken(clip: Path) -> None:
    prompt = Prompt(object_id=0, frame_index=0, mask_rle=mask_rle(64, 96))
    (record,) = detect([inspected(clip, prompt)], FakeDetector(CUP))
    assert record.prompts == (prompt,)


def test_a_class_that_the_detector_does_not_know() -> None:
    with pytest.raises(ConfigError) as caught:
        detect([], FakeDetector(), classes=("cup", "teapot"))
    assert str(caught.value) == (
        "$.detect.classes must be names that the detector knows, got teapot; it knows: cup, bottle"
    )


def test_a_detector_that_breaks(clip: Path) -> None:
    class Broken(FakeDetector):
        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            raise RuntimeError(f"no memory for {len(pictures)}")

    records = detect([inspected(clip), FAILED], Broken())
    assert records[1] is FAILED
    failure = records[0].failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("detect", "internal")
    assert failure.message == "RuntimeError: no memory for 1"
    assert failure.traceback is not None


@pytest.mark.parametrize("prompt_frame", ["first", "confident"])
def test_a_picture_that_breaks_the_detector_fails_its_shot_only(
    tmp_path: Path, prompt_frame: str
) -> None:
    path = encode_images(tmp_path / "mug.mp4", [moving_image(i) for i in range(5)])
    source = replace(record_of(path).source, shots=tuple((i, i + 1) for i in range(5)))
    shots = Inspect(ShotParams(), DEFAULT_LIMITS)([ShotRecord(source=source)])

    class Broken(FakeDetector):
        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            numbers = [number_of(picture) for picture in pictures]
            if 2 in numbers:
                raise RuntimeError(f"cannot see {numbers}")
            return super().detect(pictures)

    records = detect([*shots, FAILED], Broken(CUP), prompt_frame=prompt_frame)
    failures = [record.failure and record.failure.message for record in records]
    assert failures == [None, None, "RuntimeError: cannot see [2]", None, None, "it is text"]
    labels = [[prompt.label for prompt in record.prompts] for record in records]
    assert labels == [["cup"], ["cup"], [], ["cup"], ["cup"], []]


def test_a_broken_device_is_no_fault_of_the_shots(clip: Path) -> None:
    """The detector is asked once, and no shot is blamed."""
    calls: list[int] = []

    class Broken(FakeDetector):
        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            calls.append(len(pictures))
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")

    detected = detect([inspected(clip) for _ in range(3)], Broken())
    assert [r.failure.kind for r in detected if r.failure] == ["machine"] * 3
    assert calls == [3]


def test_each_shot_is_looked_at_on_its_first_frame_and_has_its_own_prompts(tmp_path: Path) -> None:
    path = encode_images(tmp_path / "mug.mp4", [moving_image(i) for i in range(39)])
    early, late = box_prompt(0, CUP[0], 5), replace(BOX_CORRECTION, frame_index=30)
    source = replace(record_of(path, early, late).source, shots=((0, 13), (13, 26), (26, 39)))
    shots = Inspect(ShotParams(), DEFAULT_LIMITS)([ShotRecord(source=source)])
    seen: list[int] = []

    class Reader(FakeDetector):
        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            seen.extend(map(number_of, pictures))
            return super().detect(pictures)

    first, second, third = detect(shots, Reader(BOTTLE))
    assert seen == [0, 13, 26]
    assert first.prompts == (early,)
    assert [(p.frame_index, p.label) for p in second.prompts] == [(13, "bottle")]
    assert third.prompts == (replace(late, correction=False),), "nothing to correct in this shot"


@pytest.mark.parametrize(
    ("choice", "of_line", "with_prompts", "without"),
    [
        ("always", None, [7, 0], [0]),
        ("unprompted", None, [7], [0]),
        ("never", None, [7], []),
        ("always", "never", [7], []),
        ("never", "always", [7, 0], [0]),
        ("never", "unprompted", [7], [0]),
    ],
)
def test_only_the_prompts_of_the_manifest(
    clip: Path,
    choice: AddProducts,
    of_line: AddProducts | None,
    with_prompts: list[int],
    without: list[int],
) -> None:
    detector = FakeDetector(CUP)
    shots = [inspected(clip, box_prompt(7, (70, 40, 90, 60))), inspected(clip)]
    shots = [replace(s, source=replace(s.source, add_products=of_line)) for s in shots]
    records = detect([*shots, FAILED], detector, add_products=choice)
    ids = [[prompt.object_id for prompt in record.prompts] for record in records]
    assert ids == [with_prompts, without, []]
    assert [record.failure for record in records[:2]] == [None, None]
    assert sum(map(len, detector.calls)) == (0 in with_prompts) + (0 in without), (
        "no frame for nothing"
    )


def test_prompts_are_checked_without_a_detection(clip: Path) -> None:
    shot = inspected(clip, box_prompt(3, (0, 0, 98, 64)))
    (record,) = detect([shot], FakeDetector(CUP), add_products="never")
    assert record.failure is not None
    assert (record.failure.stage, record.failure.kind) == ("detect", "bad_prompt")
