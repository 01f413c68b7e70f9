"""State of one object of a shot: its prompts, its start in each pass, and its memories."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.memory_bank import Memory, MemoryBank, SavedRow
from pvtt_flow.models.sam2.prompt_encoding import PromptTensors
from pvtt_flow.models.sam2.shot_snapshot import ObjectSnapshot
from pvtt_flow.models.sam2.tensors import MaskPrediction
from pvtt_flow.models.tracker import TrackerParams


@dataclass(slots=True, eq=False)
class ObjectState:
    """Object of a shot; positions count the shot's processed frames."""

    object_id: int
    prompts: Mapping[int, PromptTensors]
    """Prompts without corrections, by position: their frames are conditioning frames."""
    corrections: Mapping[int, PromptTensors]
    """Corrections of tracked masks, by position."""
    forward_start: int | None
    """First position of the object in the forward pass; None where it has none."""
    backward_start: int | None
    """First (highest) position of the object in the backward pass; None where it has none."""
    conditioning_outputs: dict[int, MaskPrediction] = field(default_factory=dict)
    """Predictions with b = 1, by position; removed when a pass reports them."""
    conditioning_memories: list[Memory] = field(default_factory=list)
    """Memories of conditioning frames, including corrected ones."""
    forward_memories: list[Memory] = field(default_factory=list)
    """Memories of the forward pass that the backward pass reads."""
    bank: MemoryBank | None = None
    """Bank that holds the object's row, while it has one."""
    saved_row: SavedRow | None = None
    """Row of a shot that goes on, until it is in a bank."""

    @property
    def needs_row(self) -> bool:
        """Return whether the object has no row with room for its conditioning frames."""
        return self.bank is None or self.bank.num_conditioning != len(self.conditioning_memories)

    def snapshot(self) -> ObjectSnapshot:
        """Return a copy of what changes while the object is tracked."""
        return ObjectSnapshot(
            object_id=self.object_id,
            outputs=dict(self.conditioning_outputs),
            conditioning=tuple(self.conditioning_memories),
            forward=tuple(self.forward_memories),
            row=None if self.bank is None else self.bank.save(self),
        )

    def resume(self, snapshot: ObjectSnapshot) -> None:
        """Go on from a snapshot, without a row in a bank."""
        self.conditioning_outputs = dict(snapshot.outputs)
        self.conditioning_memories = list(snapshot.conditioning)
        self.forward_memories = list(snapshot.forward)
        self.saved_row = snapshot.row


def make_object(
    object_id: int, prompts: Mapping[int, PromptTensors], params: TrackerParams
) -> ObjectState:
    """Make an object from its prompts by position.

    Raises DataError of kind `bad_prompt` for too many prompts, and for corrections on frames to
    which the object is not tracked.
    """
    initial = {k: prompt for k, prompt in prompts.items() if not prompt.is_correction}
    corrections = {k: prompt for k, prompt in prompts.items() if prompt.is_correction}
    if len(prompts) > params.max_prompted_frames:
        raise DataError(
            "bad_prompt",
            f"an object must have prompts on at most {params.max_prompted_frames} frames, got "
            f"{len(prompts)} for object {object_id}; give fewer, or raise "
            f"tracker.max_prompted_frames",
        )
    first, last = min(initial), max(initial)
    forward_start, backward_start = {
        "forward": (first, None),
        "backward": (None, last),
        "both": (first, first - 1 if first > 0 else None),
    }[params.direction]
    object_state = ObjectState(object_id, initial, corrections, forward_start, backward_start)
    _check_corrections(object_state, params.direction)
    return object_state


def _check_corrections(object_state: ObjectState, direction: str) -> None:
    """Raise DataError unless the object is tracked to each of its corrections."""
    initial = sorted(object_state.prompts)
    for position in object_state.corrections:
        if (direction == "forward" and position < initial[0]) or (
            direction == "backward" and position > initial[-1]
        ):
            raise DataError(
                "bad_prompt",
                f"a correction must be on a frame to which object {object_state.object_id} is "
                f"tracked, got frame {position} of the shot, while it is tracked {direction} from "
                f"its prompts on {initial}; set tracker.direction to both",
            )
