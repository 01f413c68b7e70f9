import numpy as np
import pytest

from pvtt_flow.core.first_frame import filled, product_beside


def test_a_hole_is_filled_with_what_is_around_it() -> None:
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, :30], rgb[:, 30:] = (200, 40, 40), (40, 40, 200)
    hole = np.zeros((40, 60), np.bool_)
    hole[10:20, 5:15] = hole[25:35, 45:55] = True
    marked = np.where(hole[..., None], np.uint8(255), rgb)
    assert np.abs(filled(marked, hole).astype(int) - rgb).max() <= 2
    assert np.array_equal(filled(rgb, np.zeros_like(hole)), rgb)
    assert (filled(rgb, np.ones_like(hole)) == 255).all()


@pytest.mark.parametrize("size", [(832, 480), (480, 832), (9, 5)])
def test_product_and_scene_are_whole_and_apart(size: tuple[int, int]) -> None:
    product = np.zeros((50, 200, 4), np.uint8)
    product[10:40, 20:180] = (0, 255, 0, 255)
    canvas = product_beside(product, np.full((90, 160, 3), 7, np.uint8), size).astype(int)
    assert canvas.shape == (size[1], size[0], 3)
    third = size[0] // 3
    # What is not the product is white, whatever color its pixels have.
    assert (canvas[:, :third].min(axis=(0, 1))[[0, 2]] <= 128).all()
    assert (canvas[:, :third, 1] >= 250).all()
    scene = (canvas[:, third:] == 7).all(axis=2)
    rows, columns = np.nonzero(scene)
    width, height = columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()
    assert width == size[0] - third or height == size[1]
    assert abs(width * 90 - height * 160) <= 160
    assert (canvas[:, third:][~scene] == 255).all()
