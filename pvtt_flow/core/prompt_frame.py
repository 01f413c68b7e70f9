"""The frame of a shot that its products are looked for on: what may be it, and which of them is.

first       o · · · · · · · · · · · · · · ·   the first frame, whatever it shows
sharp       o · o · · o · · · · · · · · · o   the earliest that is sharp beside the sharpest
confident   o · · · o · · · o · · · o · · ·   the one with the surest products
"""

from collections.abc import Sequence

from pvtt_flow.core.prompts import DetectParams
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.types import Prompt

# Of the sharpest candidate's variance; a smaller share passes for movement in what is shown.
_SHARP_SHARE = 0.5


def candidates(times: Sequence[FrameTime], params: DetectParams) -> tuple[FrameTime, ...]:
    """Those of a shot's processed frames that may be the one: some, in order, the first included.

    A confident one is best in the middle of things, so its candidates begin equal parts of the
    shot. A sharp one is to be early: its candidates lie ever further apart, up to the last frame,
    so that little is passed over at the start and the whole shot is there to compare with.

    Example: of 16 frames and with 4 candidates, 0, 4, 8, 12, and for a sharp one 0, 2, 5, 15.
    """
    num_frames, num = len(times), params.num_candidates
    match params.prompt_frame:
        case "first":
            return tuple(times[:1])
        case "sharp":
            chosen = {round(num_frames ** (i / (num - 1))) - 1 for i in range(num)}
        case "confident":
            chosen = {i * num_frames // num for i in range(num)}
    return tuple(times[position] for position in sorted(chosen))


def first_sharp(sharpness: Sequence[float]) -> int:
    """The place of the first value that is at least half of the largest.

    What is sharp depends on what is shown, so a shot is compared with itself: no bound would do
    for both a studio's white and a crowded street.
    """
    bound = _SHARP_SHARE * max(sharpness)
    return next(place for place, value in enumerate(sharpness) if value >= bound)


def most_confident(looks: Sequence[tuple[Prompt, ...]]) -> tuple[Prompt, ...]:
    """The prompts, of those that each candidate would give, whose detections' scores add up to
    most; the earliest among equals.

    The sum, because a product that is not prompted is lost for the whole shot: a frame that shows
    two of them beats one that shows a single one more clearly.
    """
    return max(looks, key=_confidence)


def _confidence(prompts: tuple[Prompt, ...]) -> float:
    return sum(p.score for p in prompts if p.score is not None)
