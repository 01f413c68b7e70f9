"""Consolidation of XMem's working memory into prototypes, and what the long-term memory forgets.

It follows arxiv.org/abs/2207.07115, section 3.3, and hkchengrex/XMem, inference/memory_manager.py
(`compress_features`, `consolidation`) and kv_memory_store.py (`sieve_by_range`,
`remove_obsolete_features`).
"""

import torch
from torch import Tensor

from pvtt_flow.models.baselines.readout import anisotropic_similarity
from pvtt_flow.models.baselines.xmem_store import Elements


def consolidated(
    working: Elements, frame_size: int, min_frames: int, num_prototypes: int
) -> tuple[Elements, Elements]:
    """Return the working memory that is left, and prototypes of what is taken from it.

    The first frame and the last `min_frames` - 1 are left; a frame has `frame_size` elements.
    """
    stop = len(working) - (min_frames - 1) * frame_size
    indices = torch.arange(len(working), device=working.keys.device)
    candidates = indices[frame_size:stop]
    kept = torch.cat([indices[:frame_size], indices[stop:]])
    values = [_candidate_values(v, len(working), frame_size, min_frames) for v in working.values]
    taken = working.with_values(candidates, [v for v in values if v is not None])
    left = [_left_values(v, frame_size, min_frames) for v in working.values]
    return working.with_values(kept, left), prototypes(taken, num_prototypes)


def prototypes(candidates: Elements, count: int) -> Elements:
    """Return the most used candidates, with values and shrinkage read from all (potentiation)."""
    total = len(candidates)
    chosen = candidates.usage.topk(min(count, total)).indices
    similarity = anisotropic_similarity(
        candidates.keys,
        candidates.shrinkage,
        candidates.keys[:, chosen],
        candidates.selection[:, chosen],
    )
    shrinkage = candidates.shrinkage @ similarity.softmax(0)
    values = []
    for v in candidates.values:
        start = total - v.shape[2]
        # A group has no values for prototypes from before it entered.
        affinity = similarity[start:, chosen >= start].softmax(0)
        if affinity.shape[1] > 0:
            values.append(v @ affinity)
    return Elements.fresh(
        candidates.keys[:, chosen], shrinkage, candidates.selection[:, chosen], values
    )


def without_least_used(elements: Elements, size: int) -> Elements:
    """Return at most `size` elements, those with the largest usage."""
    excess = len(elements) - size
    if excess <= 0:
        return elements
    usage = elements.usage
    limit = usage.topk(excess, largest=False).values[-1]
    return elements.at((usage > limit).nonzero()[:, 0])


def _candidate_values(
    values: Tensor, total: int, frame_size: int, min_frames: int
) -> Tensor | None:
    """Return the values of a group's candidates; a group that entered lately has none."""
    size = values.shape[2]
    if size < total and size <= (min_frames + 1) * frame_size:
        return None
    return values[..., frame_size : size - (min_frames - 1) * frame_size]


def _left_values(values: Tensor, frame_size: int, min_frames: int) -> Tensor:
    """Return the values that a group keeps; its own first frame is one of them.

    They belong to the last keys, as before, so those of the group's first frame go with the keys of
    the shot's. That is so in the official code.
    """
    size = values.shape[2]
    if size < (min_frames + 1) * frame_size:
        return values
    last = values[..., size - (min_frames - 1) * frame_size :]
    return torch.cat([values[..., :frame_size], last], 2)
