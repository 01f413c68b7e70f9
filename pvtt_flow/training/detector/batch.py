"""Detector batches: augmented stills in the form that ultralytics' loss takes."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.training.stills import SIDE_PX, Stills


def make_batch(
    rng: np.random.Generator, stills: Stills, order: NDArray[np.int64], side_px: int
) -> dict[str, Any]:
    """Return the augmented images (at side_px) and boxes of the stills in `order`."""
    images, boxes, image_indices = [], [], []
    for slot, index in enumerate(order):
        image_boxes = stills.boxes_xyxy[stills.image_index == index] / SIDE_PX
        image, image_boxes = _augment(rng, stills.images[index], image_boxes)
        if side_px != SIDE_PX:
            square = side_px, side_px
            image = np.asarray(cv2.resize(image, square, interpolation=cv2.INTER_AREA), np.uint8)
        images.append(image)
        boxes.append(image_boxes)
        image_indices.append(np.full(len(image_boxes), slot))
    corners = torch.from_numpy(np.concatenate(boxes)).float()
    center, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return {
        "img": pixels.to(memory_format=torch.channels_last),
        "bboxes": torch.cat([center, size], dim=1),
        "cls": torch.zeros(len(corners), 1),
        "batch_idx": torch.from_numpy(np.concatenate(image_indices)).float(),
    }


def _augment(
    rng: np.random.Generator, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirror, transpose and recolor an image; boxes are shares of the side."""
    left, top, right, bottom = boxes.T
    if rng.random() < 0.5:
        image, left, right = image[:, ::-1], 1 - right, 1 - left
    if rng.random() < 0.25:
        image, top, bottom = image[::-1], 1 - bottom, 1 - top
    if rng.random() < 0.25:
        image, left, top, right, bottom = image.swapaxes(0, 1), top, left, bottom, right
    if rng.random() < 0.5:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.5:
        levels = np.clip(np.arange(256) * rng.uniform(0.7, 1.4) + rng.normal(0, 12), 0, 255)
        image = levels.astype(np.uint8)[image]
    if rng.random() < 0.5:
        grain = rng.uniform(1, 10) * rng.standard_normal(image.shape, np.float32)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image), np.stack([left, top, right, bottom], axis=1)
