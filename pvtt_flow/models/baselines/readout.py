"""Readout of a memory: similarity of keys, and the softmax of its largest values.

STCN compares by the L2 distance (arxiv.org/abs/2106.05210, section 3.2), XMem by an anisotropic
one (arxiv.org/abs/2207.07115, section 3.3). N elements of a memory are read at Q places.
"""

import math

import torch
from torch import Tensor


def l2_similarity(keys: Tensor, queries: Tensor) -> Tensor:
    """Return the similarity (N, Q) of keys (C, N) and queries (C, Q).

    The term of the query alone is left out: it is the same for all keys.
    """
    doubled = 2 * (keys.T @ queries)
    return (doubled - keys.square().sum(0)[:, None]) / math.sqrt(len(keys))


def anisotropic_similarity(
    keys: Tensor, shrinkage: Tensor, queries: Tensor, selection: Tensor
) -> Tensor:
    """Return the similarity (N, Q) of keys (C, N) and queries (C, Q).

    `selection` (C, Q) weighs the channels of each query, `shrinkage` (N) scales each key's
    similarity.
    """
    doubled = 2 * (keys.T @ (queries * selection))
    squares = keys.square().T @ selection + (selection * queries.square()).sum(0)
    return (doubled - squares) * (shrinkage[:, None] / math.sqrt(len(keys)))


def top_k_softmax(similarity: Tensor, top_k: int) -> Tensor:
    """Return the affinity (N, Q): the softmax of the `top_k` largest of each column, else 0.

    A memory with fewer elements is read as a whole.
    """
    values, indices = similarity.topk(min(top_k, len(similarity)), dim=0)
    return torch.zeros_like(similarity).scatter_(0, indices, values.softmax(0))
