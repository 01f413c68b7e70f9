"""Filling small holes in masks, which the official predictor does where its CUDA code is built."""

import cv2
import numpy as np
import torch
from torch import Tensor

# Just above the threshold (sam2/utils/misc.py:311-340).
_FILLED_LOGIT = 0.1


def fill_holes(logits: Tensor, max_area_px: int) -> Tensor:
    """(b, h, w) logits whose background pieces of at most that area are made object.

    Pieces are 8-connected and counted in pixels of the logits' own grid. 0 fills nothing.
    """
    if not max_area_px:
        return logits
    holes = np.stack([_holes(mask, max_area_px) for mask in (logits <= 0).cpu().numpy()])
    return logits.masked_fill(torch.from_numpy(holes).to(logits.device), _FILLED_LOGIT)


def _holes(background: np.ndarray, max_area_px: int) -> np.ndarray:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        background.astype(np.uint8), connectivity=8
    )
    small = stats[:, cv2.CC_STAT_AREA] <= max_area_px
    small[0] = False  # Label 0 is the object.
    found: np.ndarray = small[labels]
    return found
