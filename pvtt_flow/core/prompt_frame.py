"""Choice of the prompt frame: the frame of a shot on which the detector looks for products.

first       o · · · · · · · · · · · · · · ·   the first frame, whatever it shows
sharp       o · o · · o · · · · · · · · · o   the earliest that is about as sharp as the sharpest
confident   o · · · o · · · o · · · o · · ·   the one with the highest total detection score
"""

from collections.abc import Sequence

from pvtt_flow.core.products import DetectParams
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.types import Prompt

# Fraction of the sharpest candidate's variance. A drop to half of it may come from motion in the
# scene alone, so the bound is no higher.
_SHARP_SHARE = 0.5


def candidates(times: Sequence[FrameTime], params: DetectParams) -> tuple[FrameTime, ...]:
    """Return the candidates among a shot's processed frames, in order; the first is one of them.

    For `confident`, candidates are evenly spaced: the best view may be anywhere in the shot. For
    `sharp`, their distance grows exponentially up to the last frame: the prompt frame should be
    early, and the later candidates only show how sharp this shot can be.

    Example: 4 candidates of 16 frames are 0, 4, 8, 12 for `confident` and 0, 2, 5, 15 for `sharp`.
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
    """Return the position of the first value that is at least half of the largest.

    Sharpness depends on the scene, so a shot is compared with itself: no fixed bound fits both a
    white studio and a crowded street.
    """
    bound = _SHARP_SHARE * max(sharpness)
    return next(place for place, value in enumerate(sharpness) if value >= bound)


def most_confident(prompts_by_candidate: Sequence[tuple[Prompt, ...]]) -> tuple[Prompt, ...]:
    """Return the prompts of the candidate frame with the highest sum of scores.

    The earliest candidate wins a tie. Scores are added, because a product without a prompt is lost
    for the whole shot: a frame that shows two products is better than one that shows one of them
    more clearly.
    """
    return max(prompts_by_candidate, key=_confidence)


def _confidence(prompts: tuple[Prompt, ...]) -> float:
    return sum(p.score for p in prompts if p.score is not None)
