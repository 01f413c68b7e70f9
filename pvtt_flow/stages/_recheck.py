"""Search a shot for products every few frames, and link what is found."""

from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.appearance import colors_of_box
from pvtt_flow.core.linking import Candidate, Linker
from pvtt_flow.core.products import DetectParams, product_places
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.detector import Detector
from pvtt_flow.stages._shot_frames import sampled_times
from pvtt_flow.types import Detections, Frame, Shot, ShotRecord, Sighting
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.read import read_frames_at_times
from pvtt_flow.video.worker.decoder import Decoder

# Frames that are held and detected together.
_BATCH = 8
# Detections down to this share of `min_score` continue a track.
_UNSURE_SHARE = 0.5
# Products on a frame that are linked.
_MAX_PRODUCTS = 64


@dataclass(frozen=True, slots=True)
class Searched:
    """Products on the frames of a shot that were searched."""

    frame_indices: tuple[int, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    tracks: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """Track of a detection, by its frame and its place there."""

    def persistence(self, frame_index: int, count: int) -> NDArray[np.float64] | None:
        """Return the share of frames on which each of a frame's detections is seen, (N,).

        None if none was searched.
        """
        if not self.frame_indices:
            return None
        num_seen = Counter(sighting.track for sighting in self.sightings)
        tracks = [self.tracks.get((frame_index, place)) for place in range(count)]
        seen = [0 if track is None else num_seen[track] for track in tracks]
        return np.array(seen) / len(self.frame_indices)


@dataclass(frozen=True, slots=True)
class _Found:
    """Product among the detections on a frame."""

    place: int
    label: str
    score: float
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Recheck:
    """Search of a shot on every n-th processed frame."""

    detector: Detector
    params: DetectParams
    sampling: SamplingParams
    limits: Limits
    decoder: Decoder

    def search(
        self, record: ShotRecord, shot: Shot, known: Sequence[tuple[Frame, Detections]]
    ) -> Searched:
        """Detect on the frames that are not known yet, and link all of them.

        Holds a batch of frames at a time. Raises what reading and the detector raise.
        """
        linker = Linker()
        indices: list[int] = []
        sightings: list[Sighting] = []
        track_of: dict[tuple[int, int], int] = {}
        seen = ((frame.frame_index, self._products(frame, found)) for frame, found in known)
        unseen = self._search(record, shot, {frame.frame_index for frame, _ in known})
        with closing(unseen):
            for index, found in merge(seen, unseen, key=lambda pair: pair[0]):
                indices.append(index)
                tracks = linker.step([each.candidate for each in found])
                for each, track in zip(found, tracks, strict=True):
                    if track is not None:
                        sightings.append(_sighting(index, each, track))
                        track_of[index, each.place] = track
        return Searched(tuple(indices), tuple(sightings), track_of)

    def _search(
        self, record: ShotRecord, shot: Shot, known: Collection[int]
    ) -> Generator[tuple[int, list[_Found]]]:
        """Yield the products on each n-th frame that is not known, in order."""
        times = [
            time
            for time in sampled_times(shot, self.sampling)[:: self.params.recheck_every]
            if time.frame_index not in known
        ]
        if not times:
            return
        frames = self.decoder.iterate(
            read_frames_at_times,
            record.source.uri,
            times,
            video=record.video,
            limits=self.limits,
        )
        while batch := list(islice(frames, _BATCH)):
            detected = self.detector.detect([frame.rgb for frame in batch])
            for frame, detections in zip(batch, detected, strict=True):
                yield frame.frame_index, self._products(frame, detections)

    def _products(self, frame: Frame, detections: Detections) -> list[_Found]:
        height_px, width_px = frame.rgb.shape[:2]
        places, boxes_xyxy = product_places(
            detections,
            width_px=width_px,
            height_px=height_px,
            params=self.params,
            min_score=_UNSURE_SHARE * self.params.min_score,
        )
        found = []
        # Detections come with the best first; a crowd would cost more than it tells.
        for place in places[:_MAX_PRODUCTS]:
            box_xyxy = tuple(float(v) for v in boxes_xyxy[place])
            score = float(detections.scores[place])
            colors = colors_of_box(frame.rgb, box_xyxy)
            candidate = Candidate(box_xyxy, colors, score >= self.params.min_score)
            found.append(_Found(place, detections.labels[place], score, candidate))
        return found


def _sighting(frame_index: int, found: _Found, track: int) -> Sighting:
    return Sighting(
        frame_index=frame_index,
        track=track,
        label=found.label,
        box_xyxy=found.candidate.box_xyxy,
        score=found.score,
    )
