"""A lane: one shot on its way through the engine, with its objects and its place in time.

A shot takes one pass, or two when objects are also followed back from their first prompt:

    positions   0 ───────── p ────────────────────► end      forward: from the first prompt on
                0 ◄──────── p-1                              backward: what came before it

Pure bookkeeping: a lane holds no tensor of the model but what its objects must keep between
passes.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.memory_bank import Bank, Memory
from pvtt_flow.models.sam2.prefetch import LOOK_AHEAD, Feed, Picture, square
from pvtt_flow.models.sam2.prompt_encoding import Ask, asks_of
from pvtt_flow.models.sam2.tensors import Sight
from pvtt_flow.models.tracker import PromptedShot, TrackerParams
from pvtt_flow.types import Frame

# Read at once when going backward, where a decoder cannot.
_CHUNK_FRAMES = 64
# A backward pass starts by reading so many frames after its first prompt (sam2_base.py:599-620).
_EARLY_FRAMES = 14
# Behind every frame: not in this pass.
_LATER = 1 << 40


@dataclass(slots=True, eq=False)
class Followed:
    """One object of a lane."""

    object_id: int
    asks: dict[int, Ask]
    """By position; those that stand alone."""
    corrections: dict[int, Ask]
    """By position; read together with what was tracked."""
    start: int
    """The first position of this pass at which it is seen."""
    turns: bool
    """Whether a backward pass follows."""
    sights: dict[int, Sight] = field(default_factory=dict)
    """Of prompted positions that the pass has not reached yet; b = 1."""
    prompted: list[Memory] = field(default_factory=list)
    early: list[Memory] = field(default_factory=list)
    """The first memories of the forward pass, while a backward pass is to come."""
    bank: Bank | None = None
    """Where its row is, while it is being tracked."""

    def keeps_early(self, position: int) -> bool:
        """Whether the backward pass will read this frame of the forward pass."""
        return self.turns and position - min(self.asks) <= _EARLY_FRAMES


class Lane:
    """One shot being tracked."""

    def __init__(
        self,
        clip: PromptedShot,
        params: TrackerParams,
        size_px: int,
        wake: Callable[[], None],
        full: Callable[[], bool] = lambda: False,
    ) -> None:
        """`size_px` is S; `wake` is called when the next frame may be there; while `full` says that
        nobody takes the results, there is none.

        Raises DataError of kind `bad_prompt` for prompts that cannot be followed.
        """
        display = next(iter(clip.prompt_frames.values())).rgb.shape
        self.display_px: tuple[int, int] = (display[0], display[1])
        self.pictures = {
            position: square(frame.rgb, size_px) for position, frame in clip.prompt_frames.items()
        }
        """uint8 (S, S, 3) by prompted position; taken by the engine when it admits the lane."""
        asks = asks_of(clip.prompts, self.display_px, size_px)
        self.objects = [_followed(i, own, params) for i, own in asks.items()]
        self.step = 1
        self._full = full
        # Not the clip: its prompted frames are large, and done with.
        self._read = clip.read
        self._direction = params.direction
        self._size_px = size_px
        self._wake = wake
        self._num_frames: int | None = None
        self._feed: Feed | None = None

    def open(self) -> None:
        """Starts to read, once."""
        if self._feed is None:
            self._feed = Feed(self._forward, self._size_px, self._wake)

    def close(self) -> None:
        """Lets the reader go."""
        if self._feed is not None:
            self._feed.stop()

    @property
    def num_frames(self) -> int:
        """Frames in the clip, exact only where it matters: below 16."""
        if self._num_frames is not None:
            return self._num_frames
        return self._reading.num_read

    def picture(self) -> Picture | None:
        """The next frame of this pass, if it can be tracked now."""
        feed = self._reading
        if self._full():
            return None
        known = feed.ended or self.step < 0 or feed.num_read >= LOOK_AHEAD
        return feed.peek() if known else None

    def take(self) -> None:
        """The next frame is done."""
        self._reading.pop()

    @property
    def on_last(self) -> bool:
        """Whether the pass is known to end with the next frame."""
        return self._reading.ended and self._reading.num_waiting == 1

    @property
    def pass_ended(self) -> bool:
        """Whether every frame of this pass has been taken."""
        return self._reading.exhausted

    @property
    def error(self) -> Exception | None:
        """Why reading broke off, if it did."""
        return self._reading.error

    def turn(self) -> bool:
        """Goes on to the backward pass; False when there is none."""
        turning = [o for o in self.objects if o.turns]
        if self.step < 0 or not turning or self.error is not None:
            return False
        self._num_frames = self._reading.num_read
        self.step = -1
        self.objects = turning
        for followed in turning:
            followed.turns = False
            followed.start = (
                max(followed.asks) if self._direction == "backward" else min(followed.asks) - 1
            )
        self._feed = Feed(self._backward, self._size_px, self._wake)
        return True

    def prompted(self, position: int) -> list[Followed]:
        """The objects whose prompts say what is on this frame."""
        return [o for o in self.objects if position in o.sights and self._reached(o, position)]

    def tracked(self, position: int) -> list[Followed]:
        """The objects that are to be tracked on this frame."""
        return [o for o in self.objects if position not in o.sights and self._reached(o, position)]

    def _reached(self, followed: Followed, position: int) -> bool:
        return (position - followed.start) * self.step >= 0

    @property
    def _reading(self) -> Feed:
        if self._feed is None:
            raise RuntimeError("a lane must be opened before it is read")
        return self._feed

    def _forward(self) -> Generator[tuple[int, Frame]]:
        yield from enumerate(self._read(0, None))

    def _backward(self) -> Generator[tuple[int, Frame]]:
        """From the last start down to 0, in chunks that are read forward."""
        stop = max(o.start for o in self.objects) + 1
        while stop > 0:
            start = max(0, stop - _CHUNK_FRAMES)
            small = [(k, _shrunk(f, self._size_px)) for k, f in self._chunk(start, stop)]
            yield from reversed(small)
            stop = start

    def _chunk(self, start: int, stop: int) -> Iterator[tuple[int, Frame]]:
        return zip(range(start, stop), self._read(start, stop), strict=True)


def _shrunk(frame: Frame, size_px: int) -> Frame:
    return Frame(frame.frame_index, frame.pts_ns, square(frame.rgb, size_px))


def _followed(object_id: int, asks: dict[int, Ask], params: TrackerParams) -> Followed:
    alone = {k: ask for k, ask in asks.items() if not ask.corrects}
    corrections = {k: ask for k, ask in asks.items() if ask.corrects}
    first, last, direction = min(alone), max(alone), params.direction
    if len(asks) > params.max_prompted_frames:
        raise DataError(
            "bad_prompt",
            f"an object must have prompts on at most {params.max_prompted_frames} frames, got "
            f"{len(asks)} for object {object_id}; give fewer, or raise tracker.max_prompted_frames",
        )
    for position in corrections:
        if (direction == "forward" and position < first) or (
            direction == "backward" and position > last
        ):
            raise DataError(
                "bad_prompt",
                f"a correction must be on a frame to which object {object_id} is tracked, got "
                f"frame {position} of the shot, while it is tracked {direction} from its prompts "
                f"on {sorted(alone)}; set tracker.direction to both",
            )
    return Followed(
        object_id=object_id,
        asks=alone,
        corrections=corrections,
        start=_LATER if direction == "backward" else first,
        turns=direction == "backward" or (direction == "both" and first > 0),
    )
