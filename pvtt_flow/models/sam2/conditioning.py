"""Admission: the prompted frames of new lanes, from prompts to first memories."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pvtt_flow.models.sam2.holes import fill_holes
from pvtt_flow.models.sam2.memory_bank import Memory
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.prompt_encoding import Ask
from pvtt_flow.models.sam2.shot_state import Followed, Lane
from pvtt_flow.models.sam2.tensors import Features, Sight


@dataclass(frozen=True, slots=True, eq=False)
class FirstSight:
    """What a prompt gave."""

    followed: Followed
    position: int
    sight: Sight
    """b = 1."""
    memory: Memory


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    followed: Followed
    position: int
    ask: Ask
    image: int

    @property
    def shape(self) -> tuple[bool, int]:
        """What must be alike in a batch: a given mask, or so many points."""
        return self.ask.mask is not None, len(self.ask.labels)


def look(model: Sam2, frames: Sequence[tuple[Lane, int]], fill_holes_px: int) -> list[FirstSight]:
    """Everything that is asked on these prompted frames (lane, position)."""
    features = model.encode(stacked([lane.pictures[position] for lane, position in frames]))
    asked = [
        _Asked(followed, position, followed.asks[position], image)
        for image, (lane, position) in enumerate(frames)
        for followed in lane.objects
        if position in followed.asks
    ]
    asked.sort(key=lambda a: a.shape)
    return [
        first
        for _, alike in groupby(asked, key=lambda a: a.shape)
        for first in _look(model, features, list(alike), fill_holes_px)
    ]


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """uint8 (F, S, S, 3)."""
    return torch.from_numpy(np.stack(pictures))


def _look(
    model: Sam2, features: Features, asked: Sequence[_Asked], fill_holes_px: int
) -> list[FirstSight]:
    own = features.take([a.image for a in asked])
    sight = _sight(model, own, [a.ask for a in asked])
    sight = sight.with_logits(fill_holes(sight.logits, fill_holes_px))
    memories = model.memorise(own.memory_base, sight, prompted=True)
    return [
        FirstSight(
            followed=a.followed,
            position=a.position,
            sight=sight.row(i),
            memory=Memory(a.position, memories[i], sight.pointer[i]),
        )
        for i, a in enumerate(asked)
    ]


def _sight(model: Sam2, features: Features, asks: Sequence[Ask]) -> Sight:
    masks = [ask.mask for ask in asks if ask.mask is not None]
    if masks:
        return model.look_at_masks(features, torch.stack(masks).to(model.device))
    points = torch.stack([ask.points for ask in asks]).to(model.device)
    labels = torch.stack([ask.labels for ask in asks]).to(model.device)
    return model.look(features, points, labels)
