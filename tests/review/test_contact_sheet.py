import cv2
import numpy as np
import pytest

from pvtt_flow.review.contact_sheet import SheetRow, contact_sheet, encode_image, evenly_spaced
from pvtt_flow.review.overlay import color_of
from pvtt_flow.review.text import write
from tests.review.masklet_factories import grey_frame, masklet_of


@pytest.mark.parametrize(
    ("indices", "num_frames", "expected"),
    [
        ((0, 2, 4, 6, 8), 3, (0, 4, 8)),
        ((7, 8, 9), 5, (7, 8, 9)),
        (range(100, 200), 2, (100, 199)),
        ((5, 6), 1, (5,)),
        ((), 4, ()),
        ((1, 2), 0, ()),
    ],
)
def test_spread(indices: tuple[int, ...], num_frames: int, expected: tuple[int, ...]) -> None:
    assert evenly_spaced(indices, num_frames) == expected


def has_colour(rgb: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((rgb == np.array(color, np.uint8)).all(axis=2).any())


def test_the_sheet_shows_objects_verdicts_and_failures() -> None:
    masklets = (
        masklet_of(0, {0: (40, 30, 100, 90), 9: (0, 0, 50, 50)}, verdict="accept"),
        masklet_of(1, {0: (0, 0, 20, 20), 9: None}, verdict="reject", reasons=("presence",)),
    )
    frames = (grey_frame(0), grey_frame(9))
    full = SheetRow(video_id="mug.mp4", frames=frames, masklets=masklets)
    failed = SheetRow(video_id="broken.mp4", note="failed: the file must have content, got 0 bytes")
    sheet = contact_sheet("2 videos", [full, failed])
    assert sheet.dtype == np.uint8
    for color in (color_of(0), color_of(1), (22, 128, 61), (200, 30, 30)):
        assert has_colour(sheet, color)
    assert (sheet[:20] == 255).all(), "margin"
    assert (sheet[:, -20:] == 255).all(), "margin"
    alone = contact_sheet("2 videos", [failed])
    assert not has_colour(alone, color_of(0))
    assert alone.shape[0] < sheet.shape[0]


def test_upright_and_wide_videos_share_a_sheet() -> None:
    tall = grey_frame(0)
    tall = type(tall)(0, 0, np.zeros((1920, 1080, 3), np.uint8))
    wide = type(tall)(0, 0, np.zeros((100, 1000, 3), np.uint8))
    rows = [SheetRow(video_id=str(i), frames=(frame,) * 6) for i, frame in enumerate((tall, wide))]
    assert contact_sheet("sizes", rows).shape[1] < 1800


def test_many_objects_are_cut_short() -> None:
    many = tuple(masklet_of(i, {0: (0, 0, 9, 9)}) for i in range(40))
    few = contact_sheet("t", [SheetRow(video_id="v", masklets=many[:9])])
    assert contact_sheet("t", [SheetRow(video_id="v", masklets=many)]).shape == few.shape


def test_long_text_ends_inside_the_canvas() -> None:
    canvas = np.full((30, 200, 3), 255, np.uint8)
    assert 150 < write(canvas, "a long reason " * 20, (10, 20), color=(0, 0, 0)) <= 200


def test_pictures_are_encoded_in_rgb_order() -> None:
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[..., 0] = 200
    for suffix in (".png", ".jpg"):
        data = np.frombuffer(encode_image(rgb, suffix), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        blue, _, red = decoded[4, 4]
        assert red > 190
        assert blue < 10
