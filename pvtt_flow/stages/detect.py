"""Shots to prompted shots: look for products on the first frames of many shots at once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pvtt_flow.core import rle
from pvtt_flow.core.prompts import DetectParams, choose_products, merge_prompts, prompts_within
from pvtt_flow.core.timeline import FrameTime
from pvtt_flow.data import Detections, Frame, Prompt, Shot, Work
from pvtt_flow.errors import DataError
from pvtt_flow.isolation.decoder import Decoder, InProcess
from pvtt_flow.media.limits import Limits
from pvtt_flow.media.seek import read_known_frames
from pvtt_flow.models.detector import Detector, check_classes
from pvtt_flow.stages.guard import failed

# Decoding one frame is mostly waiting for storage.
_DECODE_THREADS = 4


class Detect:
    """Finds the products of each shot; a shot without any keeps no prompts, which is no failure."""

    def __init__(
        self,
        detector: Detector,
        params: DetectParams,
        limits: Limits,
        decoder: Decoder | None = None,
    ) -> None:
        check_classes(detector, params.classes)
        self._detector = detector
        self._params = params
        self._limits = limits
        self._decoder = decoder or InProcess()

    def __call__(self, works: Sequence[Work]) -> list[Work]:
        """The same shots in the same order, with prompts."""
        started = time.perf_counter()
        with ThreadPoolExecutor(_DECODE_THREADS) as pool:
            frames = list(pool.map(self._prompt_frame, works))
        decoded = [i for i, frame in enumerate(frames) if isinstance(frame, Frame)]
        seen = self._detect([frames[i] for i in decoded])
        found = dict(zip(decoded, seen, strict=True))
        share_s = (time.perf_counter() - started) / max(len(decoded), 1)
        return [
            self._prompted(work, frame, found.get(i), share_s)
            for i, (work, frame) in enumerate(zip(works, frames, strict=True))
        ]

    def _prompt_frame(self, work: Work) -> Frame | Exception | None:
        """The shot's first frame, or the exception that kept it; None for work that has failed."""
        if work.failure is not None or work.shot is None:
            return None
        try:
            return self._first_frame(work, work.shot)
        except Exception as error:  # noqa: BLE001 (becomes this video's failure row)
            return error

    def _first_frame(self, work: Work, shot: Shot) -> Frame:
        # Sampling always keeps a shot's first frame, so the plain first frame is the right one.
        first = [FrameTime(shot.start_frame, shot.start_ns)]
        (frame,) = self._decoder.iterate(
            read_known_frames, work.source.uri, first, video=work.video, limits=self._limits
        )
        return frame

    def _detect(self, frames: Sequence[object]) -> Sequence[Detections | Exception]:
        """One answer a frame; when the detector breaks, each answer is why."""
        pictures = [frame.rgb for frame in frames if isinstance(frame, Frame)]
        try:
            return self._detector.detect(pictures) if pictures else []
        except Exception as error:  # noqa: BLE001 (one bad batch must not stop the others)
            return [error] * len(pictures)

    def _prompted(
        self,
        work: Work,
        frame: Frame | Exception | None,
        seen: Detections | Exception | None,
        share_s: float,
    ) -> Work:
        for outcome in (frame, seen):
            if isinstance(outcome, Exception):
                return failed(work, "detect", outcome)
        if not isinstance(frame, Frame) or not isinstance(seen, Detections):
            return work
        try:
            prompts = self._prompts(_prompts_of(work), frame, seen)
        except DataError as error:
            return failed(work, "detect", error)
        return replace(work, prompts=prompts, timings=replace(work.timings, detect_s=share_s))

    def _prompts(
        self, manifest: tuple[Prompt, ...], frame: Frame, seen: Detections
    ) -> tuple[Prompt, ...]:
        height_px, width_px = frame.rgb.shape[:2]
        for prompt in manifest:
            _check_prompt(prompt, width_px, height_px)
        detected = choose_products(
            seen,
            frame_index=frame.frame_index,
            width_px=width_px,
            height_px=height_px,
            params=self._params,
        )
        return merge_prompts(manifest, detected)


def _prompts_of(work: Work) -> tuple[Prompt, ...]:
    """The manifest's that are on frames of this shot."""
    if work.shot is None:
        return ()
    return prompts_within(work.source.prompts, work.shot.start_frame, work.shot.stop_frame)


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
