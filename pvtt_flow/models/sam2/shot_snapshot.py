"""Snapshot of a shot between two steps, from which it goes on as if nothing had been.

A snapshot has what a shot's next frames depend on and its prompts and frames do not say: phase and
position, memories, object pointers, what the memory policy knows, and conditioning outputs that are
still to be reported. Entries of the memory bank keep their places, so sums keep their order, and
masks are the same bit for bit.

As `SavedState` it is plain arrays and JSON. bfloat16, which NumPy lacks, is stored as int16 with
the same bits.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat, starmap
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from pvtt_flow.models.sam2.mask_confidence import NUM_NUMBERS
from pvtt_flow.models.sam2.memory_bank import Memory, SavedRow
from pvtt_flow.models.sam2.memory_entries import RowEntries
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Remembered
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.observation import UNSEEN, Observation
from pvtt_flow.models.sam2.tensors import MaskPrediction
from pvtt_flow.models.tracker import ForeignStateError, SavedState

T = TypeVar("T")

_FACTS = "facts"
_Read: TypeAlias = Callable[[str, tuple[int, ...]], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSnapshot:
    """Changing part of an object that is tracked; see `ObjectState`."""

    object_id: int
    outputs: Mapping[int, MaskPrediction]
    """Conditioning outputs that are still to be reported, b = 1, by position."""
    conditioning: Sequence[Memory]
    forward: Sequence[Memory]
    row: SavedRow | None
    """None if the object has no row."""

    def to(self, device: torch.device) -> "ObjectSnapshot":
        """Return the snapshot on a device; a row goes there with its bank."""
        return replace(
            self,
            outputs={position: o.to(device) for position, o in self.outputs.items()},
            conditioning=[memory.to(device) for memory in self.conditioning],
            forward=[memory.to(device) for memory in self.forward],
        )


@dataclass(frozen=True, slots=True, eq=False)
class ShotSnapshot:
    """Shot in a pass; see `ShotState`."""

    is_backward: bool
    next_position: int
    num_frames: int | None
    """Processed frames of the shot; None in the forward pass."""
    objects: Sequence[ObjectSnapshot]

    def to(self, device: torch.device) -> "ShotSnapshot":
        """Return the snapshot on a device."""
        return replace(self, objects=[each.to(device) for each in self.objects])


@dataclass(frozen=True, slots=True)
class _ObjectFacts:
    object_id: int
    outputs: tuple[int, ...]
    conditioning: tuple[int, ...]
    forward: tuple[int, ...]
    remembered: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _ShotFacts:
    engine: str
    is_backward: bool
    next_position: int
    num_frames: int | None
    objects: tuple[_ObjectFacts, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotFormat:
    """Turns snapshots of one engine into saved states and back."""

    model: Sam2
    policy: MemoryPolicy
    engine: str
    """Settings, kinds of devices and versions on which the last bit of a result depends."""

    def dump(self, snapshot: ShotSnapshot) -> SavedState:
        """Copy a snapshot from its device."""
        arrays: dict[str, NDArray[Any]] = {}
        objects = tuple(
            self._dump_object(each, f"{number}.", arrays)
            for number, each in enumerate(snapshot.objects)
        )
        facts = _ShotFacts(
            engine=self.engine,
            is_backward=snapshot.is_backward,
            next_position=snapshot.next_position,
            num_frames=snapshot.num_frames,
            objects=objects,
        )
        arrays[_FACTS] = np.frombuffer(json.dumps(asdict(facts)).encode(), np.uint8)
        return arrays

    def load(self, saved: SavedState) -> ShotSnapshot:
        """Return the snapshot, on the CPU; raise ForeignStateError if it is not of this engine."""
        try:
            facts = self._load_facts(saved)
            return ShotSnapshot(
                is_backward=facts.is_backward,
                next_position=facts.next_position,
                num_frames=facts.num_frames,
                objects=[
                    self._load_object(each, f"{number}.", saved)
                    for number, each in enumerate(facts.objects)
                ],
            )
        except ForeignStateError:
            raise
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ForeignStateError(f"{type(error).__name__}: {error}") from error

    def _load_facts(self, saved: SavedState) -> _ShotFacts:
        values = json.loads(saved[_FACTS].tobytes())
        if values["engine"] != self.engine:
            raise ForeignStateError(f"it must be of {self.engine}, got {values['engine']}")
        return _type_of(_ShotFacts).validate_python(values)

    def _dump_object(
        self, each: ObjectSnapshot, prefix: str, arrays: dict[str, NDArray[Any]]
    ) -> _ObjectFacts:
        outputs = list(each.outputs.values())
        arrays[f"{prefix}output_logits"] = _stack([o.logits[0] for o in outputs])
        arrays[f"{prefix}output_scores"] = _stack([o.object_score[0] for o in outputs])
        arrays[f"{prefix}output_ious"] = _stack([o.predicted_iou[0] for o in outputs])
        arrays[f"{prefix}output_pointers"] = _stack([o.object_pointer[0] for o in outputs])
        arrays[f"{prefix}output_confidences"] = _stack([o.confidence[0] for o in outputs])
        for name, memories in (("conditioning", each.conditioning), ("forward", each.forward)):
            arrays[f"{prefix}{name}_memories"] = _stack([m.features for m in memories])
            arrays[f"{prefix}{name}_pointers"] = _stack([m.object_pointer for m in memories])
        seen = [memory.seen for memory in each.forward]
        arrays[f"{prefix}seen_scores"] = np.array([o.object_score for o in seen], np.float64)
        arrays[f"{prefix}seen_ious"] = np.array([o.predicted_iou for o in seen], np.float64)
        arrays[f"{prefix}seen_masks"] = np.array([o.masks for o in seen], np.bool_)
        if each.row is not None:
            for name, entries in (("memories", each.row.memories), ("pointers", each.row.pointers)):
                arrays[f"{prefix}row_{name}"] = _to_array(entries.values)
                arrays[f"{prefix}row_{name}_positions"] = entries.positions
        return _ObjectFacts(
            object_id=each.object_id,
            outputs=tuple(each.outputs),
            conditioning=tuple(memory.position for memory in each.conditioning),
            forward=tuple(memory.position for memory in each.forward),
            remembered=None if each.row is None else self._to_json(each.row.remembered),
        )

    def _load_object(self, facts: _ObjectFacts, prefix: str, saved: SavedState) -> ObjectSnapshot:
        side = 4 * self.model.grid_side
        read = partial(_read, saved, prefix)
        outputs = zip(
            read("output_logits", (len(facts.outputs), side, side)),
            read("output_scores", (len(facts.outputs),)),
            read("output_ious", (len(facts.outputs),)),
            read("output_pointers", (len(facts.outputs), self.model.hidden_dim)),
            read("output_confidences", (len(facts.outputs), NUM_NUMBERS)),
            strict=True,
        )
        seen = zip(
            saved[f"{prefix}seen_scores"].tolist(),
            saved[f"{prefix}seen_ious"].tolist(),
            saved[f"{prefix}seen_masks"],
            strict=True,
        )
        unseen = repeat(UNSEEN, len(facts.conditioning))
        return ObjectSnapshot(
            object_id=facts.object_id,
            outputs={
                position: MaskPrediction(*(value[None] for value in values))
                for position, values in zip(facts.outputs, outputs, strict=True)
            },
            conditioning=self._load_memories(read, "conditioning", facts.conditioning, unseen),
            forward=self._load_memories(read, "forward", facts.forward, starmap(Observation, seen)),
            row=None if facts.remembered is None else self._load_row(read, facts.remembered),
        )

    def _load_memories(
        self, read: _Read, name: str, positions: Sequence[int], seen: Iterable[Observation]
    ) -> list[Memory]:
        features = read(f"{name}_memories", (len(positions), *self._memory_shape))
        pointers = read(f"{name}_pointers", (len(positions), self.model.hidden_dim))
        return list(starmap(Memory, zip(positions, features, pointers, seen, strict=True)))

    def _load_row(self, read: _Read, remembered: Mapping[str, Any]) -> SavedRow:
        num_pointers = self.policy.num_pointers + self.policy.max_anchors
        sizes = {
            "memories": (self.policy.num_memories, *self._memory_shape),
            "pointers": (num_pointers, self.model.hidden_dim),
        }
        memories, pointers = (
            RowEntries(
                read(f"row_{name}", shape),
                read(f"row_{name}_positions", shape[:1]).numpy(),
            )
            for name, shape in sizes.items()
        )
        return SavedRow(memories, pointers, self._from_json(remembered))

    @property
    def _memory_shape(self) -> tuple[int, int]:
        return len(self.model.memory_encoder.token_positions), self.model.memory_dim

    def _to_json(self, remembered: Remembered) -> dict[str, Any]:
        values: dict[str, Any] = self._remembered_type.dump_python(remembered, mode="json")
        return values

    def _from_json(self, values: Mapping[str, Any]) -> Remembered:
        return self._remembered_type.validate_python(values)

    @property
    def _remembered_type(self) -> TypeAdapter[Remembered]:
        return _type_of(type(self.policy.start))


def _type_of(cls: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(cls)


def _read(saved: SavedState, prefix: str, name: str, shape: tuple[int, ...]) -> Tensor:
    """Return an array as a tensor; raise ForeignStateError unless it has the shape."""
    array = saved[prefix + name]
    if array.shape != shape and not (shape[0] == 0 == array.size):
        raise ForeignStateError(f"{prefix}{name} must have the shape {shape}, got {array.shape}")
    tensor = torch.from_numpy(array.copy())
    return tensor.view(torch.bfloat16) if tensor.dtype == torch.int16 else tensor


def _stack(tensors: Sequence[Tensor]) -> NDArray[Any]:
    arrays = [_to_array(tensor) for tensor in tensors]
    return np.stack(arrays) if arrays else np.empty(0, np.float32)


def _to_array(tensor: Tensor) -> NDArray[Any]:
    host = tensor.cpu()
    return (host.view(torch.int16) if host.dtype == torch.bfloat16 else host).numpy()
