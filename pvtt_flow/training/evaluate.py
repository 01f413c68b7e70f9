"""Measure the shipped models on held-out renderings, and on real sequences if given.

The renderings show meshes and skies that training did not. Errors are standard errors: of the mean
over clips, and of ratios by a bootstrap over clips or stills.
"""

import json
import os
import platform
from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.errors import DataError
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams
from pvtt_flow.training import evaluate_detector, evaluate_segmenter
from pvtt_flow.training.corpus import AREA_PX, library_of
from pvtt_flow.training.detector.model import open_detector
from pvtt_flow.training.embedded import EMBEDDED
from pvtt_flow.training.evaluate_detector import Detection
from pvtt_flow.training.evaluate_segmenter import Accuracy, Measured, PromptKind
from pvtt_flow.training.render.library import Library
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS

FIGURES = EMBEDDED / "figures.json"
_RESAMPLES = 1000
_GOOD_J = 0.5
# Not every clip shows its target on the first frame; nearly all do.
_TRIES = 3


def write_figures(
    *, clips: int, stills: int, annotated: Path | None, work: Path, report: Callable[[str], None],
    processes: int, output: Path = FIGURES,
) -> None:  # fmt: skip
    """Measure both models, write figures.json beside the weights, and report what to quote."""
    library = library_of(work / "assets", "held_out")
    rendered = _measure_rendered(clips, library, processes, report)
    real = None
    if annotated is not None:
        sequences = evaluate_segmenter.annotated_sequences(annotated)
        real = evaluate_segmenter.measure(_tracker(), sequences, report)
    detection = evaluate_detector.measure(open_detector(), stills, library)
    quoted = summary(rendered, real, detection)
    figures = {
        "command": f"python -m pvtt_flow.training evaluate --clips {clips} --stills {stills}"
        + (" --annotated FOLDER" if annotated else ""),
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU, shared",
        "summary": quoted,
        "segmenter": {
            "frames_per_clip": evaluate_segmenter.NUM_FRAMES,
            "rendered": {kind: _accuracy(each) for kind, each in rendered.items()},
            "real": {
                kind: _accuracy(each) | {"jf_by_clip": _by_clip(each)}
                for kind, each in (real or {}).items()
            },
        },
        "detector": _detector(detection),
    }
    output.write_text(json.dumps(figures, indent=2) + "\n")
    report(json.dumps(quoted))


def _measure_rendered(
    count: int, library: Library, processes: int, report: Callable[[str], None]
) -> dict[PromptKind, Accuracy]:
    """Measure the first `count` held-out clips that show their target."""
    indices = range(_TRIES * count)
    with get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        measured = pool.imap(partial(_measure_one, library), indices)
        return evaluate_segmenter.collect(islice(filter(None, measured), count), report)


def _measure_one(library: Library, index: int) -> Measured | None:
    clip = evaluate_segmenter.held_out_clip(index, library, area_px=AREA_PX)
    try:
        return None if clip is None else evaluate_segmenter.measure_clip(_tracker(), clip)
    except DataError as error:
        if error.kind != "bad_prompt":
            raise
        # A thin target may be no pixel of the model's masks, and no prompt then.
        return None


@cache
def _tracker() -> ThreadedTracker:
    return ThreadedTracker(WEIGHTS, CONFIG, TrackerParams(device="cpu", max_concurrent_shots=1))


def summary(
    rendered: dict[PromptKind, Accuracy],
    real: dict[PromptKind, Accuracy] | None,
    detection: Detection,
) -> dict[str, dict[str, float]]:
    """Return the numbers to quote, each with its standard error."""
    box, point = rendered["box"].j, rendered["point"].j
    numbers = {
        "rendered_jf": _mean(rendered["box"].jf),
        "points_over_box": _ratio(point, box),
        "mesh_recall": _of_stills(detection, 0),
        "mesh_precision": _of_stills(detection, 1),
    }
    return numbers if real is None else numbers | {"davis_jf": _mean(real["box"].jf)}


def _mean(values: NDArray[np.float64]) -> dict[str, float]:
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    return {"value": _round(np.mean(values)), "standard_error": _round(error)}


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> dict[str, float]:
    """Return the ratio of two means over the same clips."""
    chosen = np.random.default_rng(0).integers(0, len(top), (_RESAMPLES, len(top)))
    spread = top[chosen].mean(1) / bottom[chosen].mean(1)
    return {
        "value": _round(top.mean() / bottom.mean()), "standard_error": _round(np.std(spread))
    }  # fmt: skip


def _of_stills(detection: Detection, which: int) -> dict[str, float]:
    """Return recall (0) or precision (1)."""
    rng, count = np.random.default_rng(0), len(detection.seen)
    spread = [
        detection.recall_precision([detection.seen[n] for n in rng.integers(0, count, count)])
        for _ in range(_RESAMPLES // 5)
    ]
    return {
        "value": _round(detection.recall_precision()[which]),
        "standard_error": _round(np.std([each[which] for each in spread])),
    }


def _accuracy(found: Accuracy) -> dict[str, Any]:
    return {
        "clips": len(found.clips),
        "j": _mean(found.j), "f": _mean(found.f), "jf": _mean(found.jf),
        "first_frame_j": _mean(found.first_j), "last_frame_j": _mean(found.last_j),
        "share_of_clips_under_half": _round(np.mean(found.j < _GOOD_J)),
    }  # fmt: skip


def _by_clip(found: Accuracy) -> dict[str, float]:
    return dict(zip(found.clips, map(_round, found.jf), strict=True))


def _detector(detection: Detection) -> dict[str, Any]:
    recall, precision = detection.recall_precision()
    return {
        "stills": len(detection.seen),
        "products": sum(len(each.truth) for each in detection.seen),
        "min_iou": 0.5, "min_score": evaluate_detector.MIN_SCORE,
        "recall": _round(recall), "precision": _round(precision),
        "calibration_error": _round(detection.calibration_error()),
        "false_alarm_share_without_product": _round(detection.false_alarm_share()),
    }  # fmt: skip


def _round(value: Any) -> float:
    return round(float(value), 4)
