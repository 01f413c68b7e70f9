"""The steady state: one frame each of many lanes, and everything that is followed on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pvtt_flow.models.sam2.batching import Budget
from pvtt_flow.models.sam2.conditioning import stacked
from pvtt_flow.models.sam2.holes import fill_holes
from pvtt_flow.models.sam2.memory_bank import Bank, Memory, Reader
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.prefetch import Picture
from pvtt_flow.models.sam2.prompt_encoding import Ask
from pvtt_flow.models.sam2.shot_state import Followed, Lane
from pvtt_flow.models.sam2.tensors import Features, Sight, Start


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """A lane and its next frame."""

    lane: Lane
    picture: Picture


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An object on its lane's frame."""

    due: Due
    followed: Followed
    sight: Sight
    """b = 1."""
    corrected: Memory | None
    """Its memory of this frame when it was corrected here: the frame counts as prompted."""


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """An object to track, and which of the encoded images it is on."""

    due: Due
    followed: Followed
    image: int

    @property
    def reader(self) -> Reader:
        lane = self.due.lane
        return Reader(self.followed, self.due.picture.position, lane.step, lane.num_frames)

    @property
    def ask(self) -> Ask | None:
        """What corrects it on this frame."""
        return self.followed.corrections.get(self.due.picture.position)


class Follower:
    """Tracks what is due."""

    def __init__(self, model: Sam2, budget: Budget, fill_holes_px: int) -> None:
        self._model = model
        self._budget = budget
        self._fill_holes_px = fill_holes_px

    def __call__(self, due: Sequence[Due]) -> list[Found]:
        """Every object that is tracked on these frames; their banks remember it."""
        busy = [d for d in due if d.lane.tracked(d.picture.position)]
        if not busy:
            return []
        features = self._model.encode(stacked([d.picture.pixels for d in busy]))
        start = self._model.start(features)
        targets = [
            _Target(d, followed, image)
            for image, d in enumerate(busy)
            for followed in d.lane.tracked(d.picture.position)
        ]
        found: list[Found] = []
        for bank, own in _by_bank(targets).items():
            found += self._budget.of_objects(own, partial(self._follow, bank, start, features))
        return found

    def _follow(
        self, bank: Bank, start: Start, features: Features, targets: Sequence[_Target]
    ) -> list[Found]:
        images = [t.image for t in targets]
        own = features.take(images)
        past = bank.read([t.reader for t in targets])
        sight, tokens = self._model.follow(start.take(images), own, past)
        filled = sight.with_logits(fill_holes(sight.logits, self._fill_holes_px))
        found = [Found(t.due, t.followed, filled.row(i), None) for i, t in enumerate(targets)]
        for i, target in enumerate(targets):
            if target.ask is not None:
                found[i] = self._corrected(
                    target, target.ask, filled.row(i), tokens[i : i + 1], own.take([i])
                )
        kept = [i for i, f in enumerate(found) if f.corrected is None and _remembered(f)]
        if kept:
            self._remember(bank, [targets[i] for i in kept], own.take(kept), sight.take(kept))
        return found

    def _remember(
        self, bank: Bank, targets: Sequence[_Target], features: Features, sight: Sight
    ) -> None:
        memories = self._model.memorise(features.memory_base, sight, prompted=False)
        frames = [t.due.picture.position for t in targets]
        bank.write([t.followed for t in targets], frames, memories, sight.pointer)
        for i, target in enumerate(targets):
            if target.followed.keeps_early(frames[i]):
                memory = Memory(frames[i], memories[i].clone(), sight.pointer[i].clone())
                target.followed.early.append(memory)

    def _corrected(
        self, target: _Target, ask: Ask, before: Sight, tokens: Tensor, features: Features
    ) -> Found:
        points, labels = ask.points[None].to(tokens.device), ask.labels[None].to(tokens.device)
        sight = self._model.correct(tokens, features, before.logits, points, labels)
        sight = sight.with_logits(fill_holes(sight.logits, self._fill_holes_px))
        memories = self._model.memorise(features.memory_base, sight, prompted=True)
        memory = Memory(target.due.picture.position, memories[0], sight.pointer[0])
        return Found(target.due, target.followed, sight, memory)


def _remembered(found: Found) -> bool:
    """Whether a later frame can read this one's memory."""
    lane, position = found.due.lane, found.due.picture.position
    return not lane.on_last or found.followed.keeps_early(position)


def _by_bank(targets: Sequence[_Target]) -> dict[Bank, list[_Target]]:
    groups: dict[Bank, list[_Target]] = {}
    for target in targets:
        if target.followed.bank is None:
            raise RuntimeError("an object must have a bank before it is followed")
        groups.setdefault(target.followed.bank, []).append(target)
    return groups
