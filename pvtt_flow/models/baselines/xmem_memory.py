"""Working and long-term memory of XMem (https://arxiv.org/abs/2207.07115, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pvtt_flow.models.baselines.consolidation import consolidated, without_least_used
from pvtt_flow.models.baselines.readout import anisotropic_similarity, top_k_softmax
from pvtt_flow.models.baselines.xmem_network import Encoded
from pvtt_flow.models.baselines.xmem_store import Elements


@dataclass(frozen=True, slots=True)
class XMemSettings:
    """Settings of the memories, by default those of the official evaluation."""

    mem_every: int = 5
    """Distance of frames that are remembered, and of deep updates of the sensory memory."""
    top_k: int = 30
    """Number of elements that a place reads."""
    min_working_frames: int = 5
    """Frames that a consolidation leaves in the working memory."""
    max_working_frames: int = 10
    """Frames in the working memory with which a consolidation starts."""
    max_long_term_elements: int = 10_000
    num_prototypes: int = 128
    """Elements that a consolidation makes."""


class FeatureMemory:
    """Elements of one pass, bounded as the settings say."""

    def __init__(self, settings: XMemSettings) -> None:
        self._settings = settings
        self.working: Elements | None = None
        self.long_term: Elements | None = None

    def read(self, frame: Encoded) -> Tensor:
        """Return the values (K, D, h, w) that a frame reads, and count what was read.

        Usage is that by the objects which entered first: their memory has all elements.
        """
        stores = [store for store in (self.long_term, self.working) if store is not None]
        query, selection = (x[0].flatten(1) for x in (frame.key, frame.selection))
        similarity = [
            anisotropic_similarity(store.keys, store.shrinkage, query, selection)
            for store in stores
        ]
        read = []
        for group in range(len(stores[-1].values)):
            values = [store.values[group] for store in stores if group < len(store.values)]
            # The working memory, which has all groups, is the last store.
            rows = [
                s[len(s) - v.shape[2] :]
                for s, v in zip(similarity[-len(values) :], values, strict=True)
            ]
            affinity = top_k_softmax(torch.cat(rows), self._settings.top_k)
            parts = affinity.split([len(r) for r in rows])
            # A sum over stores needs no copy of their values.
            read.append(torch.stack([v @ a for v, a in zip(values, parts, strict=True)]).sum(0))
            if group == 0:
                self._count(parts)
        return torch.cat(read).unflatten(2, tuple(frame.key.shape[2:]))

    def add(self, frame: Encoded, values: Tensor) -> None:
        """Remember a frame with values (K, D, h, w) of all objects that have entered."""
        flat = values.flatten(2)
        groups = [] if self.working is None else [len(v) for v in self.working.values]
        if len(flat) > sum(groups):
            groups.append(len(flat) - sum(groups))
        added = Elements.fresh(
            frame.key[0].flatten(1),
            frame.shrinkage.flatten(),
            frame.selection[0].flatten(1),
            flat.split(groups),
        )
        self.working = added if self.working is None else self.working.followed_by(added)
        if len(self.working) >= self._settings.max_working_frames * len(added):
            self._consolidate(self.working, len(added))

    def _count(self, affinity: Sequence[Tensor]) -> None:
        """Count how much each element of the long-term and the working memory was read."""
        if self.working is not None:
            self.working = self.working.read_with(affinity[-1])
        if self.long_term is not None:
            self.long_term = self.long_term.read_with(affinity[0])

    def _consolidate(self, working: Elements, frame_size: int) -> None:
        settings = self._settings
        self.working, added = consolidated(
            working, frame_size, settings.min_working_frames, settings.num_prototypes
        )
        if self.long_term is None:
            self.long_term = added
            return
        room = settings.max_long_term_elements - settings.num_prototypes
        self.long_term = without_least_used(self.long_term, room).followed_by(added)
