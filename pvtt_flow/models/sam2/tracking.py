"""Tracking step: the next frame of many shots, and each object that is tracked on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pvtt_flow.models.sam2.batching import BatchSizer
from pvtt_flow.models.sam2.frame_encoder import FrameEncoder
from pvtt_flow.models.sam2.mask_output import fill_holes
from pvtt_flow.models.sam2.memory_bank import Memory, MemoryBank, MemoryQuery
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.object_state import ObjectState
from pvtt_flow.models.sam2.observation import Reads, observe
from pvtt_flow.models.sam2.prefetch import ModelFrame
from pvtt_flow.models.sam2.prompt_encoding import PromptTensors
from pvtt_flow.models.sam2.shot_state import ShotState
from pvtt_flow.models.sam2.tensors import FrameTokens, ImageFeatures, MaskPrediction


@dataclass(frozen=True, slots=True, eq=False)
class PendingFrame:
    """Next frame of a shot."""

    shot: ShotState
    frame: ModelFrame


@dataclass(frozen=True, slots=True, eq=False)
class ObjectResult:
    """Prediction for one tracked object on one frame."""

    pending: PendingFrame
    object_state: ObjectState
    prediction: MaskPrediction
    """b = 1."""
    corrected_memory: Memory | None
    """Memory of the frame if the object was corrected on it: it becomes a conditioning frame."""


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """Object to track."""

    pending: PendingFrame
    object_state: ObjectState
    image: int
    """Index of its frame among the encoded images."""

    @property
    def position(self) -> int:
        return self.pending.frame.position

    @property
    def query(self) -> MemoryQuery:
        shot = self.pending.shot
        return MemoryQuery(self.object_state, self.position, shot.time_sign, shot.num_frames)

    @property
    def correction(self) -> PromptTensors | None:
        return self.object_state.corrections.get(self.position)


class TrackStep:
    """Tracks objects to the next frames of their shots and writes their memories."""

    def __init__(
        self,
        model: Sam2,
        batch_sizer: BatchSizer,
        fill_holes_px: int,
        encode_at_once: int,
        reads: Reads,
    ) -> None:
        """Track in batches; images are encoded `encode_at_once`, if so many are decoded.

        The memory policy `reads` some of each prediction.
        """
        self._model = model
        self._encode_frames = FrameEncoder(model, encode_at_once)
        self._batch_sizer = batch_sizer
        self._fill_holes_px = fill_holes_px
        self._reads = reads

    def __call__(self, pending_frames: Sequence[PendingFrame]) -> list[ObjectResult]:
        """Track each object that is tracked on these frames."""
        frames = [p for p in pending_frames if p.shot.tracked_objects(p.frame.position)]
        if not frames:
            return []
        encoded = self._encode_frames([(p.shot, p.frame) for p in frames])
        targets = [
            _Target(pending, object_state, image)
            for image, pending in enumerate(frames)
            for object_state in pending.shot.tracked_objects(pending.frame.position)
        ]
        results: list[ObjectResult] = []
        for (bank, _), bank_targets in self._groups(targets).items():
            track = partial(self._track, bank, encoded.tokens, encoded.features)
            results += self._batch_sizer.run_objects(bank_targets, track)
        return results

    def _groups(self, targets: Sequence[_Target]) -> dict[tuple[MemoryBank, bool], list[_Target]]:
        """Return targets by bank and, where memories are pooled, by whether there is only one."""
        groups: dict[tuple[MemoryBank, bool], list[_Target]] = {}
        for target in targets:
            bank = target.object_state.bank
            if bank is None:
                raise RuntimeError("an object must have a row before it is tracked")
            is_alone = self._model.pools_memories and bank.has_one_memory(target.query)
            groups.setdefault((bank, is_alone), []).append(target)
        return groups

    def _track(
        self,
        bank: MemoryBank,
        frame_tokens: FrameTokens,
        features: ImageFeatures,
        targets: Sequence[_Target],
    ) -> list[ObjectResult]:
        """Track objects of one bank in one batch."""
        images = [t.image for t in targets]
        features = features.select(images)
        context = bank.read([t.query for t in targets])
        prediction, tokens = self._model.track_step(frame_tokens.select(images), features, context)
        filled = prediction.with_logits(fill_holes(prediction.logits, self._fill_holes_px))
        results = [
            ObjectResult(t.pending, t.object_state, filled.row(i), None)
            for i, t in enumerate(targets)
        ]
        for i, target in enumerate(targets):
            if target.correction is not None:
                results[i] = self._correct(
                    target,
                    target.correction,
                    filled.row(i),
                    tokens[i : i + 1],
                    features.select([i]),
                )
        kept = [i for i, r in enumerate(results) if r.corrected_memory is None and _is_read(r)]
        if kept:
            kept_targets = [targets[i] for i in kept]
            # Memories are of the masks before holes are filled, as in the official predictor.
            self._write_memories(bank, kept_targets, features.select(kept), prediction.select(kept))
        return results

    def _write_memories(
        self,
        bank: MemoryBank,
        targets: Sequence[_Target],
        features: ImageFeatures,
        prediction: MaskPrediction,
    ) -> None:
        memories = self._model.encode_memory(
            features.pixel_features, prediction, is_conditioning=False
        )
        pointers = prediction.object_pointer
        seen = observe(prediction, self._reads)
        owners = [t.object_state for t in targets]
        # Copied before anything is written: if memory runs out, the whole batch is repeated.
        read_backward = [
            (owner, Memory(target.position, memories[i].clone(), pointers[i].clone(), seen[i]))
            for i, (owner, target) in enumerate(zip(owners, targets, strict=True))
            if target.pending.shot.is_read_backward(owner, target.position)
        ]
        bank.write(owners, [t.position for t in targets], memories, pointers, seen)
        for owner, memory in read_backward:
            owner.forward_memories.append(memory)

    def _correct(
        self,
        target: _Target,
        correction: PromptTensors,
        tracked: MaskPrediction,
        tokens: Tensor,
        features: ImageFeatures,
    ) -> ObjectResult:
        """Refine the prediction of one object with its correction (all with b = 1)."""
        points = correction.points[None].to(tokens.device)
        labels = correction.labels[None].to(tokens.device)
        prediction = self._model.apply_corrections(tokens, features, tracked.logits, points, labels)
        prediction = prediction.with_logits(fill_holes(prediction.logits, self._fill_holes_px))
        memories = self._model.encode_memory(
            features.pixel_features, prediction, is_conditioning=True
        )
        memory = Memory(target.position, memories[0], prediction.object_pointer[0])
        return ObjectResult(target.pending, target.object_state, prediction, memory)


def _is_read(result: ObjectResult) -> bool:
    """Return whether a later frame can read this result's memory."""
    shot, position = result.pending.shot, result.pending.frame.position
    return not shot.next_is_last or shot.is_read_backward(result.object_state, position)
