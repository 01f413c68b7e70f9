"""STCN (https://arxiv.org/abs/2106.05210) as a propagator.

It follows the official evaluation on YouTube-VOS (hkchengrex/STCN, eval_youtube.py,
inference_core_yv.py): an object enters on the frame where its mask is given, which takes its pixels
from those that are predicted there, and has a memory of its own. A frame with a given mask is
remembered for all objects, then each `mem_every`-th after it. Corrections, which that evaluation
does not have, follow the same rule: the mask replaces what was predicted for its object.

The memory of the paper grows with the video. Here it is bounded: where it has more than
`max_frames` without a given mask, each second of them is forgotten and frames are remembered
half as often. Up to 50 x 5 frames, more than a video of DAVIS or YouTube-VOS has, nothing changes;
50 frames of 480 x 854 px are 80,000 elements, of which all are compared with 1620 places (0.5 GB).

The network runs in float32.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.baselines.aggregation import aggregated, with_given
from pvtt_flow.models.baselines.network_frame import FrameFormat
from pvtt_flow.models.baselines.propagation import Propagator
from pvtt_flow.models.baselines.published_weights import load_published, read_published
from pvtt_flow.models.baselines.stcn_memory import MemoryFrame, StcnMemory, StcnSettings
from pvtt_flow.models.baselines.stcn_network import StcnNetwork


def build_stcn(
    weights: Path, device: torch.device, settings: StcnSettings | None = None
) -> Propagator:
    """Build STCN with published weights; raise ConfigError for weights of another form."""
    network = StcnNetwork()
    load_published(network, read_published(weights, "STCN"), weights, "STCN")
    return partial(StcnPropagation, network.to(device).eval(), settings or StcnSettings())


class StcnPropagation:
    """Memory of one pass over one shot."""

    def __init__(self, network: StcnNetwork, settings: StcnSettings) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self._memory = StcnMemory(settings)
        self._ids: list[int] = []

    @torch.inference_mode()
    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return the probability (H, W) of each object that was given so far, by object id."""
        if not (self._ids or masks):
            return {}
        form = FrameFormat.of(frame.shape[:2])
        image = form.image(frame, "bicubic", self._device)
        key, features = self._network.encode(image)
        probabilities = self._predict(key, features, masks)
        if masks:
            self._ids += [i for i in masks if i not in self._ids]
            given = form.masks(list(masks.values()), self._device)
            indices = [self._ids.index(i) for i in masks]
            probabilities = with_given(probabilities, given, indices)
        if self._memory.wants_next(is_given=bool(masks)):
            values = self._network.encode_value(image, features[0], probabilities)
            self._memory.add(MemoryFrame(key[0].flatten(1), values.flatten(2), bool(masks)))
        return dict(zip(self._ids, form.at_display(probabilities), strict=True))

    def _predict(
        self,
        key: Tensor,
        features: tuple[Tensor, Tensor, Tensor],
        masks: Mapping[int, NDArray[np.bool_]],
    ) -> Tensor:
        if masks.keys() >= set(self._ids):
            # Nothing would be left of what is predicted.
            return key.new_zeros(0, 1, 1)
        return aggregated(self._network.segment(self._memory.read(key), features))
