"""Shots to prompted shots: look for products on one frame of each, or a few, many shots at once."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

from pvtt_flow.core import rle
from pvtt_flow.core.prompt_frame import most_confident
from pvtt_flow.core.prompts import DetectParams, choose_products, merge_prompts, prompts_within
from pvtt_flow.core.timeline import SamplingParams
from pvtt_flow.errors import DataError
from pvtt_flow.models.detector import Detector, check_classes
from pvtt_flow.stages._candidates import CandidateFrames
from pvtt_flow.stages._failures import failed
from pvtt_flow.types import Detections, Frame, Prompt, ShotRecord
from pvtt_flow.video.limits import Limits
from pvtt_flow.video.worker.decoder import Decoder, InProcessDecoder

# Decoding one frame is mostly waiting for storage.
_DECODE_THREADS = 4


class Detect:
    """Finds the products of each shot; a shot without any keeps no prompts, which is no failure."""

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
        self._candidates = CandidateFrames(params, sampling, limits, decoder or InProcessDecoder())

    def __call__(self, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """The same shots in the same order, with prompts."""
        # A few shots at a time where each has many pictures, so that no more are held than there
        # are shots; yet enough of them to decode side by side.
        size = max(len(records) // self._candidates.most, _DECODE_THREADS)
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            groups = (records[start : start + size] for start in range(0, len(records), size))
            return [record for group in groups for record in self._looked_at(pool, group)]

    def _looked_at(self, pool: Executor, records: Sequence[ShotRecord]) -> list[ShotRecord]:
        """The same, of shots whose pictures are held together."""
        started = time.perf_counter()
        frames = list(pool.map(self._frames, records))
        decoded = [own for own in frames if not isinstance(own, Exception) and own]
        seen = self._detect([frame for own in decoded for frame in own])
        share_s = (time.perf_counter() - started) / max(len(decoded), 1)
        return [
            self._prompted(record, own, seen, share_s)
            for record, own in zip(records, frames, strict=True)
        ]

    def _frames(self, record: ShotRecord) -> Sequence[Frame] | Exception:
        """Those to look at, or the exception that kept them; none for work that has failed."""
        if record.failure is not None or record.shot is None:
            return ()
        try:
            return self._candidates.of(record, record.shot)
        except Exception as error:  # noqa: BLE001 (becomes this video's failure row)
            return error

    def _detect(self, frames: Sequence[Frame]) -> Mapping[Frame, Detections] | Exception:
        """What is on each frame, or why the detector broke."""
        try:
            seen = self._detector.detect([frame.rgb for frame in frames]) if frames else []
            return dict(zip(frames, seen, strict=True))
        except Exception as error:  # noqa: BLE001 (one bad batch must not stop the others)
            return error

    def _prompted(
        self,
        record: ShotRecord,
        frames: Sequence[Frame] | Exception,
        seen: Mapping[Frame, Detections] | Exception,
        share_s: float,
    ) -> ShotRecord:
        if isinstance(frames, Exception):
            return failed(record, "detect", frames)
        if not frames:
            return record
        if isinstance(seen, Exception):
            return failed(record, "detect", seen)
        try:
            prompts = self._prompts(_prompts_of(record), [(frame, seen[frame]) for frame in frames])
        except DataError as error:
            return failed(record, "detect", error)
        return replace(record, prompts=prompts, timings=replace(record.timings, detect_s=share_s))

    def _prompts(
        self, manifest: tuple[Prompt, ...], looks: Sequence[tuple[Frame, Detections]]
    ) -> tuple[Prompt, ...]:
        height_px, width_px = looks[0][0].rgb.shape[:2]
        for prompt in manifest:
            _check_prompt(prompt, width_px, height_px)
        detected = [
            choose_products(
                seen,
                frame_index=frame.frame_index,
                width_px=width_px,
                height_px=height_px,
                params=self._params,
            )
            for frame, seen in looks
        ]
        return most_confident([merge_prompts(manifest, prompts) for prompts in detected])


def _prompts_of(record: ShotRecord) -> tuple[Prompt, ...]:
    """The manifest's that are on frames of this shot."""
    if record.shot is None:
        return ()
    return prompts_within(record.source.prompts, record.shot.start_frame, record.shot.stop_frame)


def _check_prompt(prompt: Prompt, width_px: int, height_px: int) -> None:
    """Refuse a manifest prompt that lies outside the picture or does not have its size."""
    where = f"prompt of object {prompt.object_id} on frame {prompt.frame_index}"
    size = f"the picture is {width_px}x{height_px}"
    if prompt.box_xyxy is not None:
        x0, y0, x1, y1 = prompt.box_xyxy
        if not (0 <= x0 < x1 <= width_px and 0 <= y0 < y1 <= height_px):
            raise DataError("bad_prompt", f"{where}: box {prompt.box_xyxy} must fit; {size}")
    for x, y in prompt.points_xy:
        if not (0 <= x < width_px and 0 <= y < height_px):
            raise DataError("bad_prompt", f"{where}: point ({x}, {y}) must fit; {size}")
    if prompt.mask_rle is not None and not rle.fits(prompt.mask_rle, height_px, width_px):
        raise DataError("bad_prompt", f"{where}: mask_rle must be COCO counts for it; {size}")
