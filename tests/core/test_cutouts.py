"""Choice of the frames that an object is cut out of."""

from dataclasses import replace

from pvtt_flow.core.cutouts import candidates, distant_from
from pvtt_flow.types import MaskletFrame
from tests.dataset.dataset_rows import masklet


def frames(*areas: int, border: tuple[int, ...] = ()) -> list[MaskletFrame]:
    blank = masklet("a", num_frames=1).frames[0]
    return [
        replace(
            blank,
            frame_index=position,
            rle="x" if area else None,
            area_px=area,
            fragments=int(area > 0),
            flags=("border",) if position in border else (),
        )
        for position, area in enumerate(areas)
    ]


def test_large_and_whole_ones_first() -> None:
    seen = frames(0, 50, 100, 90, 95, 10, 99, 70, border=(2,))
    # Of equal masks the earlier one; 1 and 5 are too small, and 2 is cut by the border.
    assert candidates(seen, 8) == [3, 4, 6, 7]
    worse = [replace(f, predicted_iou=0.5) if f.frame_index == 3 else f for f in seen]
    assert candidates(worse, 8) == [4, 6, 7, 3]
    broken = [replace(f, fragments=3) if f.frame_index == 3 else f for f in seen]
    assert candidates(broken, 8) == [4, 6, 7, 3]


def test_neighbors_are_not_all_taken() -> None:
    chosen = candidates(frames(*[100] * 30), 3)
    assert chosen == [0, 5, 10]


def test_an_object_that_is_always_cut_or_never_there() -> None:
    assert candidates(frames(5, 5, border=(0, 1)), 2) == [0, 1]
    assert candidates(frames(0, 0), 2) == []
    assert distant_from(frames(0, 0), 0) is None


def test_the_second_one_is_far() -> None:
    assert distant_from(frames(100, 100, 100, 30, 40, 10), 0) == 2
    assert distant_from(frames(100, 100, 0, 0, 0, 0), 0) is None
