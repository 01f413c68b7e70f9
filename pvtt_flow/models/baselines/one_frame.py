"""Segment one frame as an image: a shot of its own."""

from collections.abc import Iterator, Sequence

from pvtt_flow.models.tracker import PromptedShot, TrackedObject, Tracker
from pvtt_flow.types import Frame, Prompt


def track_one_frame(
    tracker: Tracker, frame: Frame, prompts: Sequence[Prompt]
) -> list[TrackedObject]:
    """Return the masks of the prompted objects on a frame; none for no prompts."""
    if not prompts:
        return []

    def read(start: int, stop: int | None) -> Iterator[Frame]:
        return iter([frame][start:stop])

    shot = PromptedShot(read=read, prompts={0: prompts}, prompt_frames={0: frame})
    # A tracker that only goes backward yields the frame twice, at first without objects.
    return [each for tracked in tracker.track(shot) for each in tracked.objects]
