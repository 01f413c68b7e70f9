"""Detect stage: find the products of each shot on one frame or a few, many shots in a batch."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice

from pvtt_flow.core.products import DetectParams, choose_products
from pvtt_flow.core.prompt_frame import most_confident
from pvtt_flow.core.prompts import fit_prompts, merge_prompts, prompts_within
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.models.detector import Detector, check_classes
from pvtt_flow.stages._candidates import CandidateFrames
from pvtt_flow.stages._failures import guarded, is_machine_error, with_failure
from pvtt_flow.stages._recheck import Recheck, Searched
from pvtt_flow.types import Detections, Frame, Prompt, ShotRecord
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder

# Threads that decode: decoding one frame is mostly waiting for storage.
_DECODE_THREADS = 4


class Detect:
    """Adds prompts to each shot; a shot without products keeps no prompts, which is no failure."""

    def __init__(
        self,
        detector: Detector,
        params: DetectParams,
        sampling: SamplingParams,
        limits: Limits,
        decoder: Decoder | None = None,
    ) -> None:
        check_classes(detector, params.classes)
        self._detector = detector
        self._params = params
        decoder = decoder or InProcessDecoder()
        self._candidates = CandidateFrames(params, sampling, limits, decoder)
        self._recheck = Recheck(detector, params, sampling, limits, decoder)

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Return the shots in the same order, with prompts."""
        # A few shots at a time where each has many candidates, so that no more frames are held than
        # there are shots; yet enough shots to decode in parallel.
        size = max(len(records) // self._candidates.max_frames, _DECODE_THREADS)
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            groups = (records[start : start + size] for start in range(0, len(records), size))
            return [record for group in groups for record in self._process_group(pool, group)]

    def _process_group(self, pool: Executor, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """Process shots whose frames are held together and are one batch of the detector."""
        started = time.perf_counter()
        shots = list(pool.map(self._decode, records))
        searched = [shot_frames for _, shot_frames in shots if shot_frames]
        found = iter(self._detect(searched))
        outcomes = [next(found) if shot_frames else () for _, shot_frames in shots]
        detect_s = (time.perf_counter() - started) / max(len(searched), 1)
        return [
            prompted
            for (record, shot_frames), outcome in zip(shots, outcomes, strict=True)
            for prompted in guarded(
                "detect", partial(self._add_prompts, shot_frames, outcome, detect_s), record
            )
        ]

    def _detect(self, shots: Sequence[Sequence[Frame]]) -> list[Sequence[Detections] | Exception]:
        """Return the detections on the frames of each shot, or the error that the shot causes.

        A batch that fails is repeated shot by shot, to find the shot that is to blame; not if the
        machine is.
        """
        pictures = [frame.rgb for shot_frames in shots for frame in shot_frames]
        try:
            found = iter(self._detector.detect(pictures) if pictures else ())
            return [list(islice(found, len(shot_frames))) for shot_frames in shots]
        except Exception as error:  # noqa: BLE001 (one bad picture must not stop the others)
            if len(shots) == 1 or is_machine_error(error):
                return [error] * len(shots)
        return [outcome for shot_frames in shots for outcome in self._detect([shot_frames])]

    def _decode(self, record: ShotRecord) -> tuple[ShotRecord, Sequence[Frame]]:
        """Return the record and its candidate frames.

        There are none if it has failed, or fails here, or is not searched.
        """
        is_searched = self._params.recheck_every or self._adds_products(record)
        if record.failure is not None or record.shot is None or not is_searched:
            return record, ()
        try:
            return record, self._candidates.decode(record, record.shot)
        except Exception as error:  # noqa: BLE001 (a bad video must not stop the others)
            return with_failure(record, "detect", error), ()

    def _adds_products(self, record: ShotRecord) -> bool:
        match record.source.add_products or self._params.add_products:
            case "always":
                return True
            case "unprompted":
                return not record.source.prompts
            case "never":
                return False

    def _add_prompts(
        self,
        frames: Sequence[Frame],
        outcome: Sequence[Detections] | Exception,
        detect_s: float,
        record: ShotRecord,
    ) -> Sequence[ShotRecord]:
        if isinstance(outcome, Exception):
            raise outcome
        video, manifest = record.video, _manifest_prompts(record)
        if record.failure is not None or video is None:
            return [record]
        if not frames:
            prompts = fit_prompts(manifest, video.width_px, video.height_px)
            return [replace(record, prompts=prompts)]
        candidates = list(zip(frames, outcome, strict=True))
        started = time.perf_counter()
        searched = self._search(record, candidates)
        prompts = (
            self._choose_prompts(manifest, candidates, searched)
            if self._adds_products(record)
            else fit_prompts(manifest, video.width_px, video.height_px)
        )
        detect_s += time.perf_counter() - started
        return [
            replace(
                record,
                prompts=prompts,
                searched=searched.frame_indices,
                sightings=searched.sightings,
                timings=replace(record.timings, detect_s=detect_s),
            )
        ]

    def _search(
        self, record: ShotRecord, candidates: Sequence[tuple[Frame, Detections]]
    ) -> Searched:
        if record.shot is None or not self._params.recheck_every:
            return Searched()
        return self._recheck.search(record, record.shot, candidates)

    def _choose_prompts(
        self,
        manifest: tuple[Prompt, ...],
        candidates: Sequence[tuple[Frame, Detections]],
        searched: Searched,
    ) -> tuple[Prompt, ...]:
        height_px, width_px = candidates[0][0].rgb.shape[:2]
        manifest = fit_prompts(manifest, width_px, height_px)
        detected = [
            choose_products(
                detections,
                frame_index=frame.frame_index,
                width_px=width_px,
                height_px=height_px,
                params=self._params,
                persistence=searched.persistence(frame.frame_index, len(detections.labels)),
            )
            for frame, detections in candidates
        ]
        return most_confident(
            [
                merge_prompts(
                    manifest,
                    prompts,
                    width_px=width_px,
                    height_px=height_px,
                    max_iou=self._params.max_iou,
                )
                for prompts in detected
            ]
        )


def _manifest_prompts(record: ShotRecord) -> tuple[Prompt, ...]:
    """Return the manifest's prompts on frames of this shot."""
    if record.shot is None:
        return ()
    return prompts_within(record.source.prompts, record.shot.start_frame, record.shot.stop_frame)
