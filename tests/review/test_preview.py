from fractions import Fraction
from pathlib import Path

import numpy as np

from pvtt_flow.review.overlay import color_of
from pvtt_flow.review.preview import write_preview
from pvtt_flow.video.read import read_frames
from tests.review.masklet_factories import HEIGHT_PX, WIDTH_PX, grey_frame, masklet_of


def test_masks_land_on_their_own_frames(tmp_path: Path) -> None:
    # The masklet was tracked on every second frame, and is absent on frame 4.
    masklet = masklet_of(0, {0: (0, 0, 60, 60), 2: (100, 60, 160, 120), 4: None})
    path = tmp_path / "preview.mp4"
    assert write_preview(path, (grey_frame(i) for i in range(5)), [masklet], Fraction(25)) == 5
    with path.open("rb") as file:
        frames = list(read_frames(file))
    # Small pictures are enlarged, so that a label does not cover the object.
    assert frames[0].rgb.shape == (360, 480, 3)
    scale = 360 / HEIGHT_PX
    corner, opposite = (20, 20), (WIDTH_PX - 20, HEIGHT_PX - 20)

    def tinted(frame_index: int, at_xy: tuple[int, int]) -> bool:
        x, y = (round(side * scale) for side in at_xy)
        pixel = frames[frame_index].rgb[y, x].astype(int)
        return bool(np.abs(pixel - (0.55 * 100 + 0.45 * np.array(color_of(0)))).max() < 12)

    seen = [(tinted(i, corner), tinted(i, opposite)) for i in range(5)]
    nothing = (False, False)
    assert seen == [(True, False), nothing, (False, True), nothing, nothing]
