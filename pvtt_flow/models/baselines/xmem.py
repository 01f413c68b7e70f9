"""XMem (https://arxiv.org/abs/2207.07115) as a propagator.

It follows the official `InferenceCore` (hkchengrex/XMem, inference/inference_core.py) where objects
enter late and where masks are corrected: a mask that is given replaces what was predicted for its
object and takes its pixels from others, the frame goes into the working memory for all objects, and
it updates the sensory memory deeply. Where the masks of all objects are given, nothing is
predicted. Objects that enter together are a group that reads its own frames.

Its three memories are constant in the length of a shot. Left as in the official code: after a
consolidation the values of a late object's first frame are read with the keys of the shot's first
frame (consolidation.py). Added: the official code stops where the long-term memory is full and an
object entered late, here the least used elements are forgotten for all; and memories with fewer
elements than `top_k` or `num_prototypes` are taken as a whole.

The network runs in float32; the official evaluation uses half precision on a GPU.
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
from pvtt_flow.models.baselines.published_weights import (
    load_published,
    not_published,
    read_published,
)
from pvtt_flow.models.baselines.xmem_memory import FeatureMemory, XMemSettings
from pvtt_flow.models.baselines.xmem_network import Encoded, XMemNetwork, XMemWidths


def build_xmem(
    weights: Path, device: torch.device, settings: XMemSettings | None = None
) -> Propagator:
    """Build XMem with published weights, in their widths.

    Raises ConfigError for weights of another form.
    """
    state = read_published(weights, "XMem")
    try:
        widths = XMemWidths.of(state)
    except KeyError as error:
        raise not_published(weights, "XMem", f"without {error.args[0]}") from error
    network = XMemNetwork(widths)
    load_published(network, state, weights, "XMem")
    return partial(XMemPropagation, network.to(device).eval(), settings or XMemSettings())


class XMemPropagation:
    """Memory of one pass over one shot."""

    def __init__(self, network: XMemNetwork, settings: XMemSettings) -> None:
        self._network = network
        self._mem_every = settings.mem_every
        self._device = next(network.parameters()).device
        self._memory = FeatureMemory(settings)
        self._ids: list[int] = []
        self._sensory = torch.zeros(0)
        """Float (K, hidden, h, w) of objects."""
        self._age = 0
        """Number of frames since the last one that is remembered."""

    @torch.inference_mode()
    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return the probability (H, W) of each object that was given so far, by object id."""
        if not (self._ids or masks):
            return {}
        self._age += 1
        is_kept = bool(masks) or self._age >= self._mem_every
        form = FrameFormat.of(frame.shape[:2])
        image = form.image(frame, "bilinear", self._device)
        encoded = self._network.encode(image)
        if masks.keys() >= set(self._ids):
            # Nothing would be left of what is predicted.
            probabilities = image.new_zeros(0, 1, 1)
        else:
            probabilities = self._predict(encoded, is_kept=is_kept)
        if masks:
            self._enter(masks, encoded)
            given = form.masks(list(masks.values()), self._device)
            indices = [self._ids.index(i) for i in masks]
            probabilities = with_given(probabilities, given, indices)
        if is_kept:
            self._remember(image, encoded, probabilities)
        return dict(zip(self._ids, form.at_display(probabilities), strict=True))

    def _predict(self, frame: Encoded, *, is_kept: bool) -> Tensor:
        read = self._memory.read(frame)
        found, sensory = self._network.segment(read, frame.features, self._sensory)
        if not is_kept:
            # A frame that is remembered updates it deeply instead.
            self._sensory = sensory
        return aggregated(found)

    def _enter(self, masks: Mapping[int, NDArray[np.bool_]], frame: Encoded) -> None:
        entered = [i for i in masks if i not in self._ids]
        size = frame.key.shape[2:]
        empty = frame.key.new_zeros(len(entered), self._network.widths.hidden, *size)
        self._sensory = torch.cat([self._sensory, empty]) if self._ids else empty
        self._ids += entered

    def _remember(self, image: Tensor, frame: Encoded, probabilities: Tensor) -> None:
        self._age = 0
        values, self._sensory = self._network.encode_value(
            image, frame.features[0], probabilities, self._sensory
        )
        self._memory.add(frame, values)
