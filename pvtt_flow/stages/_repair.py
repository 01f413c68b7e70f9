"""Track the doubtful frames of a masklet again, from a product that the detector sees there."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from pvtt_flow.core import quality, rle
from pvtt_flow.core.agreement import mean_agreement
from pvtt_flow.core.appearance import Histogram, MeasureParams, color_distance, colors_of_box
from pvtt_flow.core.cleaning import CleanParams, cleaned
from pvtt_flow.core.mask_shape import with_previous_iou
from pvtt_flow.core.qc import measure
from pvtt_flow.core.repair import RepairParams, Run, best_match, doubtful_runs
from pvtt_flow.models.tracker import Tracker
from pvtt_flow.stages._masklet_builder import MaskletBuilder
from pvtt_flow.stages._observe import observed
from pvtt_flow.stages._shot_part import Read, frame_at, mask_prompt, shot_part
from pvtt_flow.types import Masklet, MaskletFrame, Prompt, Repair, Sighting


@dataclass(frozen=True, slots=True)
class _Proposal:
    """Product that is taken for the object."""

    place: int
    sighting: Sighting


@dataclass(slots=True)
class Repairer:
    """Repairs the masklets of one shot."""

    tracker: Tracker
    read: Read
    params: RepairParams
    clean: CleanParams
    measure: MeasureParams
    tracker_hash: str
    """SHA-256 of the weights, by which it is known whether their scores count."""
    sightings: Mapping[int, Sequence[Sighting]]
    """By frame; frames that were searched and saw nothing are there, too."""
    _known_colors: dict[tuple[int, tuple[float, ...]], Histogram | None] | None = None

    def repaired(self, masklet: Masklet) -> Masklet:
        """Return the masklet with the masks of doubtful runs that have become better."""
        masklet = replace(masklet, tracker_hash=self.tracker_hash)
        first = _first_prompted(masklet)
        if not self.params.attempts or first is None:
            return masklet
        place, box_xyxy = first
        colors = colors_of_box(frame_at(self.read, place).rgb, box_xyxy)
        doubt = self._doubt(masklet, colors)
        if colors is None or doubt[place] > self.params.max_prompt_doubt:
            return masklet
        given = [at for at, frame in enumerate(masklet.frames) if "prompted" in frame.flags]
        for run in doubtful_runs(doubt, given, self.params)[: self.params.attempts]:
            proposal = self._propose(masklet, run, colors)
            if proposal is None:
                continue
            cycle_iou = self._cycle_iou(masklet, place, proposal)
            tried = _repair_of(masklet, run, proposal, cycle_iou)
            if cycle_iou >= self.params.min_cycle_iou:
                other = self._track_again(masklet, run, proposal)
                inside = slice(run.start, run.stop)
                gain = float(np.mean(doubt[inside]) - np.mean(self._doubt(other, colors)[inside]))
                kept = gain >= self.params.min_gain and self._agrees_more(masklet, other, inside)
                tried = replace(tried, gain=gain, kept=kept)
                masklet = replace(other, repairs=masklet.repairs) if kept else masklet
            masklet = replace(masklet, repairs=(*masklet.repairs, tried))
        return masklet

    def _agrees_more(self, masklet: Masklet, other: Masklet, inside: slice) -> bool:
        """Return whether the new masks agree more with what the detector sees."""
        before, after = (
            mean_agreement(each.frames[inside], self.sightings) or 0.0 for each in (masklet, other)
        )
        return after - before >= self.params.min_agreement_gain

    def _cycle_iou(self, masklet: Masklet, prompted: int, proposal: _Proposal) -> float:
        """Track the product to the prompted frame, and compare its mask there with the prompted
        one.

        Another object, be it of the same colors, leads to another place (forward-backward
        consistency, as in `_backward.py`).
        """
        start, last = sorted((prompted, proposal.place))
        prompts = {proposal.place: [_box_prompt(masklet, proposal)]}
        frame = masklet.frames[prompted]
        # The pass that goes forward from the product may yield the frame without an object.
        masks = [
            item.mask
            for tracked in self.tracker.track(shot_part(self.read, start, last + 1, prompts))
            if tracked.frame_index == frame.frame_index
            for item in tracked.objects
        ]
        size = masklet.height_px, masklet.width_px
        return rle.iou(frame.rle, rle.encode(masks[-1]), *size) if masks else 0.0

    def _doubt(self, masklet: Masklet, colors: Histogram | None) -> list[float]:
        """Return the doubt of each frame: that its mask is not good, or that one is missing."""
        indices = [frame.frame_index for frame in masklet.frames]
        searched = [place for place, index in enumerate(indices) if index in self.sightings]

        def is_seen(place: int) -> bool:
            """Return whether the object is seen on the nearest frame that was searched."""
            at = bisect_left(searched, place)
            near = min(
                searched[max(at - 1, 0) : at + 1], key=lambda p: abs(p - place), default=None
            )
            return near is not None and self._match(indices[near], colors) is not None

        return [
            float(_was_tracked(masklet, place) and is_seen(place)) if p is None else 1 - p.good
            for place, p in enumerate(quality.of_frames(_measured(masklet)))
        ]

    def _match(self, frame_index: int, colors: Histogram | None) -> tuple[float, Sighting] | None:
        """Return how much the product on a frame that is like the object is so, and the product."""
        seen = self.sightings.get(frame_index, ())
        if colors is None or not seen:
            return None
        similarities = []
        for sighting in seen:
            found = self._colors()[frame_index, sighting.box_xyxy]
            similarities.append(0.0 if found is None else 1 - color_distance(found, colors))
        best = best_match(similarities, self.params)
        return None if best is None else (similarities[best], seen[best])

    def _colors(self) -> Mapping[tuple[int, tuple[float, ...]], Histogram | None]:
        """Return the colors of all sightings by frame and box, from one reading of the shot."""
        if self._known_colors is None:
            self._known_colors = {}
            with closing(self.read(0, None)) as frames:
                for frame in frames:
                    for sighting in self.sightings.get(frame.frame_index, ()):
                        key = (frame.frame_index, sighting.box_xyxy)
                        self._known_colors[key] = colors_of_box(frame.rgb, sighting.box_xyxy)
        return self._known_colors

    def _propose(self, masklet: Masklet, run: Run, colors: Histogram) -> _Proposal | None:
        matches = [
            (match[0], place, match[1])
            for place in range(run.start, run.stop)
            if (match := self._match(masklet.frames[place].frame_index, colors)) is not None
        ]
        if not matches:
            return None
        _, place, sighting = max(matches, key=lambda match: match[0])
        return _Proposal(place, sighting)

    def _track_again(self, masklet: Masklet, run: Run, proposal: _Proposal) -> Masklet:
        """Track the run between the masks beside it and the proposed box."""
        start = run.start - _has_mask(masklet, run.start - 1)
        stop = run.stop + _has_mask(masklet, run.stop)
        prompts = {
            place: [mask_prompt(masklet, place)]
            for place in (run.start - 1, run.stop)
            if start <= place < stop
        }
        prompts[proposal.place] = [_box_prompt(masklet, proposal)]
        builder = MaskletBuilder(())
        for tracked in self.tracker.track(shot_part(self.read, start, stop, prompts)):
            builder.add(tracked)
        return self._with_frames(masklet, run, builder)

    def _with_frames(self, masklet: Masklet, run: Run, builder: MaskletBuilder) -> Masklet:
        """Return the masklet with the frames of a run that were tracked again."""
        places = slice(run.start, run.stop)
        found = tuple(
            builder.frames.get((masklet.object_id, frame.frame_index), frame)
            for frame in masklet.frames[places]
        )
        clean = cleaned(replace(masklet, frames=found), self.clean).frames
        spliced = (*masklet.frames[: run.start], *clean, *masklet.frames[run.stop :])
        frames = with_previous_iou(spliced, masklet.height_px, masklet.width_px)
        (seen,) = observed(
            [replace(masklet, frames=frames)], self.read, self.measure, (run.start, run.stop)
        )
        return seen


def _measured(masklet: Masklet) -> Masklet:
    """Return the masklet with its measurements, of which the probabilities are made."""
    size = {"width_px": masklet.width_px, "height_px": masklet.height_px}
    return replace(masklet, qc=measure(masklet.frames, masklet.prompts, **size))


def _first_prompted(masklet: Masklet) -> tuple[int, tuple[int, ...]] | None:
    """Return the place of the first prompted frame with a mask, and the mask's box."""
    for place, frame in enumerate(masklet.frames):
        if "prompted" in frame.flags and frame.box_xyxy is not None:
            return place, frame.box_xyxy
    return None


def _was_tracked(masklet: Masklet, place: int) -> bool:
    """Return False for a frame that `tracker.direction` leaves out."""
    return masklet.frames[place].object_score is not None


def _has_mask(masklet: Masklet, place: int) -> bool:
    return 0 <= place < len(masklet.frames) and masklet.frames[place].rle is not None


def _box_prompt(masklet: Masklet, proposal: _Proposal) -> Prompt:
    return Prompt(
        object_id=masklet.object_id,
        frame_index=proposal.sighting.frame_index,
        box_xyxy=proposal.sighting.box_xyxy,
        score=proposal.sighting.score,
    )


def _repair_of(masklet: Masklet, run: Run, proposal: _Proposal, cycle_iou: float) -> Repair:
    """Return what is known of a repair before the run is tracked again."""
    first: MaskletFrame = masklet.frames[run.start]
    return Repair(
        start_frame=first.frame_index,
        stop_frame=masklet.frames[run.stop - 1].frame_index + 1,
        prompt_frame=proposal.sighting.frame_index,
        box_xyxy=proposal.sighting.box_xyxy,
        cycle_iou=cycle_iou,
        gain=None,
        kept=False,
    )
