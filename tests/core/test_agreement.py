from dataclasses import replace

from pvtt_flow.core.agreement import mean_agreement, with_detector_iou
from pvtt_flow.types import Masklet, Sighting
from tests.dataset.dataset_rows import masklet


def tracked() -> Masklet:
    """Four frames, with a box of 10 px on all but the third."""
    frame = replace(masklet("mug").frames[0], box_xyxy=(0, 0, 10, 10))
    frames = [replace(frame, frame_index=index) for index in range(4)]
    frames[2] = replace(masklet("mug").frames[1], frame_index=2)
    return masklet("mug", num_frames=4, frames=tuple(frames))


def seen(frame_index: int, box_xyxy: tuple[float, ...], track: int = 0) -> Sighting:
    return Sighting(frame_index=frame_index, track=track, label="mug", box_xyxy=box_xyxy, score=0.9)


def ious(found: Masklet) -> list[float | None]:
    return [frame.detector_iou for frame in found.frames]


def test_the_product_that_overlaps_most_counts() -> None:
    sightings = [seen(0, (0, 0, 10, 5)), seen(0, (0, 0, 10, 10), 1), seen(3, (50, 0, 60, 10))]
    found = with_detector_iou(tracked(), (0, 1, 2, 3), sightings)
    # On the second frame nothing was seen, on the third the object is absent.
    assert ious(found) == [1.0, 0.0, None, 0.0]


def test_frames_that_were_not_searched_have_no_value() -> None:
    found = with_detector_iou(tracked(), (0, 2), [seen(0, (0, 0, 10, 5))])
    assert ious(found) == [0.5, None, None, None]
    assert with_detector_iou(tracked(), (), []) == tracked()


def test_a_missing_mask_agrees_with_nothing_that_is_seen() -> None:
    seen_by_frame = {
        0: [seen(0, (0, 0, 10, 5)), seen(0, (0, 0, 10, 10), 1)],
        1: [],
        2: [seen(2, (0, 0, 10, 10))],
        3: [seen(3, (0, 0, 10, 5))],
    }
    assert mean_agreement(tracked().frames, seen_by_frame) == (1.0 + 0.0 + 0.5) / 3
    assert mean_agreement(tracked().frames[1:2], seen_by_frame) is None
