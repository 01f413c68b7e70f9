"""Measures of the shipped models: prompts, means with their errors, and recall."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pvtt_flow.core import rle
from pvtt_flow.models.tracker import PromptedShot, TrackedFrame, TrackedObject
from pvtt_flow.training.evaluate import summary
from pvtt_flow.training.evaluate_detector import Detection, Seen
from pvtt_flow.training.evaluate_segmenter import (
    Accuracy,
    PromptKind,
    TrueClip,
    annotated_sequences,
    held_out_clips,
    measure,
    prompt_of,
)


def moving_square() -> TrueClip:
    """A square of 10 pixels that goes 2 pixels to the right each frame."""
    masks = np.zeros((4, 40, 40), bool)
    for t, mask in enumerate(masks):
        mask[10:20, 5 + 2 * t : 15 + 2 * t] = True
    return TrueClip("square", np.zeros((4, 40, 40, 3), np.uint8), masks)


class Still:
    """Tracker that repeats its prompt, or the pixel of a point, on every frame."""

    def track(self, shot: PromptedShot) -> Iterator[TrackedFrame]:
        (prompt,) = shot.prompts[0]
        mask = np.zeros((40, 40), bool)
        if prompt.mask_rle is not None:
            mask = rle.decode(prompt.mask_rle, 40, 40)
        elif prompt.box_xyxy is not None:
            left, top, right, bottom = map(int, prompt.box_xyxy)
            mask[top:bottom, left:right] = True
        else:
            ((x, y),) = prompt.points_xy
            mask[int(y), int(x)] = True
        for frame in shot.read(0, None):
            tracked = TrackedObject(0, mask, 1.0, 1.0)
            yield TrackedFrame(frame.frame_index, frame.pts_ns, (tracked,), 1.0)


def test_prompts_of_a_mask() -> None:
    mask = moving_square().masks[0]
    assert prompt_of("box", mask).box_xyxy == (5, 10, 15, 20)
    mask_rle = prompt_of("mask", mask).mask_rle
    assert mask_rle is not None
    assert np.array_equal(rle.decode(mask_rle, 40, 40), mask)
    point = prompt_of("point", mask)
    assert point.point_labels == (1,)
    ((x, y),) = point.points_xy
    assert 9 <= x <= 11
    assert 14 <= y <= 16
    with pytest.raises(ValueError, match="must cover a pixel"):
        prompt_of("box", np.zeros((4, 4), bool))


def test_first_and_last_frame_do_not_count() -> None:
    found = measure(Still(), [moving_square()], lambda _: None)
    # A square that is 2 and 4 pixels off: 80 of 120 pixels, and 60 of 140.
    assert found["box"].j == pytest.approx([(80 / 120 + 60 / 140) / 2])
    assert found["mask"].j == pytest.approx(found["box"].j)
    assert found["box"].first_j == pytest.approx([1.0])
    assert found["box"].last_j == pytest.approx([40 / 160])
    assert found["point"].first_j == pytest.approx([1 / 100])
    assert found["box"].clips == ("square",)


def accuracy(j: list[float], f: list[float]) -> Accuracy:
    values = np.array(j)
    return Accuracy(tuple(map(str, j)), values, np.array(f), values, values)


def test_summary_has_values_with_their_errors() -> None:
    boxes, points = accuracy([0.8, 0.6], [0.6, 0.4]), accuracy([0.4, 0.3], [0.1, 0.1])
    box = np.array([[0, 0, 10, 10]], np.float32)
    seen = [Seen(box, np.array([0.9], np.float32), box)] * 3
    missed = Seen(box[:0], np.zeros(0, np.float32), box)
    rendered: dict[PromptKind, Accuracy] = {"box": boxes, "mask": boxes, "point": points}
    found = summary(rendered, None, Detection((*seen, missed)))
    assert found["rendered_jf"] == {"value": 0.6, "standard_error": pytest.approx(0.1)}
    # Points are half as good on both clips: no error.
    assert found["points_over_box"] == {"value": 0.5, "standard_error": 0.0}
    assert found["mesh_recall"]["value"] == 0.75
    assert 0.1 < found["mesh_recall"]["standard_error"] < 0.35
    assert found["mesh_precision"] == {"value": 1.0, "standard_error": 0.0}
    assert "davis_jf" not in found
    assert "davis_jf" in summary(rendered, rendered, Detection((missed,)))


def test_what_scores_of_a_half_and_more_show_is_counted() -> None:
    truth = np.array([[0, 0, 10, 10]], np.float32)
    wrong = np.array([[20, 20, 30, 30]], np.float32)
    empty = np.zeros((0, 4), np.float32)
    right = Seen(truth, np.array([0.8], np.float32), truth)
    doubt = Seen(wrong, np.array([0.4], np.float32), empty)
    alarm = Seen(wrong, np.array([0.6], np.float32), empty)
    assert Detection((right, doubt)).false_alarm_share() == 0.0
    assert Detection((right, doubt)).recall_precision() == (1.0, 1.0)
    assert Detection((right, doubt, alarm)).false_alarm_share() == 0.5
    assert Detection((right, doubt, alarm)).recall_precision() == (1.0, 0.5)
    # Scores 0.8, 0.4 and 0.6: 0.2, 0.4 and 0.6 off.
    assert Detection((right, doubt, alarm)).calibration_error() == pytest.approx(0.4)


def test_held_out_clips_show_their_target_on_the_first_frame() -> None:
    clips = list(held_out_clips(2, area_px=64 * 64))
    assert len({clip.name for clip in clips}) == 2
    for clip in clips:
        assert clip.frames.shape[:3] == clip.masks.shape
        assert clip.masks[0].mean() >= 0.003


def test_an_annotated_sequence_gives_its_lowest_object_in_rgb(tmp_path: Path) -> None:
    frames, masks = tmp_path / "bike" / "frames", tmp_path / "bike" / "masks"
    frames.mkdir(parents=True)
    masks.mkdir()
    red = np.zeros((6, 8, 3), np.uint8)
    red[..., 2] = 200  # BGR
    labels: NDArray[np.uint8] = np.zeros((6, 8), np.uint8)
    labels[1:3, 2:4], labels[4, 5] = 7, 9
    cv2.imwrite(str(frames / "0.png"), red)
    cv2.imwrite(str(masks / "0.png"), labels)
    (clip,) = annotated_sequences(tmp_path)
    assert clip.name == "bike"
    assert clip.frames[0, 0, 0].tolist() == [200, 0, 0]
    assert np.array_equal(clip.masks[0], labels == 7)
