"""Protocol of the baselines' networks: masks of some frames in, probabilities of each frame out."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Propagation(Protocol):
    """Memory of one pass over one shot; frames are given in the order of the pass."""

    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return the probability (H, W) of each object that was given so far, by object id.

        `frame` is RGB (H, W, 3) at display size; `masks`, bool (H, W), are objects whose mask is
        given on this frame (first prompts and corrections).
        """
        ...


Propagator: TypeAlias = Callable[[], Propagation]
"""Resident network of a baseline: starts a new pass, with an empty memory."""
