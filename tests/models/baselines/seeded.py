"""Weights and a clip that are the same on each machine and with each version of torch."""

import math
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

HEIGHT, WIDTH = 64, 96


def uniform(name: str, *shape: int) -> NDArray[np.float32]:
    """Draw values in [-1, 1) for a name; NumPy keeps the raw values of its bit generators."""
    raw = np.random.PCG64(crc32(name.encode())).random_raw(int(np.prod(shape)))
    values = (raw >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1
    return values.reshape(shape)


def seed_weights(network: nn.Module) -> None:
    """Fill a network with weights that depend on their names, so that features stay near 1."""
    state = network.state_dict()
    network.load_state_dict({name: _weight(name, value) for name, value in state.items()})


def _weight(name: str, value: Tensor) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(value)
    drawn: Tensor = torch.from_numpy(uniform(name, *value.shape))
    if name.endswith("running_var"):
        return 1 + drawn / 4
    if value.ndim == 1:
        # The weights of norms are small, so that the blocks of a ResNet add up to no explosion.
        return drawn / 4 + (0.6 if name.endswith("weight") else 0)
    fan_in = value[0].numel()
    return drawn * math.sqrt(4 / fan_in)


def clip(frames: int) -> tuple[list[NDArray[np.uint8]], list[dict[int, NDArray[np.bool_]]]]:
    """Return frames with two squares that move, and their masks with ids 7 and 3."""
    texture = uniform("background", HEIGHT, WIDTH, 3) * 40 + 120
    images, masks = [], []
    for t in range(frames):
        image = texture.copy()
        found = {}
        for object_id, top, left, colour in (
            (7, 8, 4 + t, (230, 60, 40)),
            (3, 34, 70 - t, (30, 90, 220)),
        ):
            mask = np.zeros((HEIGHT, WIDTH), np.bool_)
            mask[top : top + 22, left : left + 20] = True
            image[mask] = np.array(colour, np.float32) + uniform(f"object {object_id}", 1)
            found[object_id] = mask
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(found)
    return images, masks
