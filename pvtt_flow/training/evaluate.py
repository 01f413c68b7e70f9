"""Measure the shipped models on held-out renderings, and on real sequences if given."""

import json
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.core import rle
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import PromptedShot, Tracker, TrackerParams
from pvtt_flow.training import stills as pictures
from pvtt_flow.training.corpus import SEEDS, seed_of
from pvtt_flow.training.embedded import EMBEDDED
from pvtt_flow.training.measure import MatchedDetections, match_detections, region_similarity
from pvtt_flow.training.render.clip import random_clip
from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS
from pvtt_flow.types import Frame, Prompt

FIGURES = EMBEDDED / "figures.json"
NUM_FRAMES = 24
# The target must cover this share of the first frame, which is the prompted one.
MIN_FIRST_SHARE = 0.003


def held_out_clips(count: int) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield seed, frames and target masks of `count` clips with a target on the first frame."""
    index = 0
    while count:
        seed = seed_of("held_out", NUM_FRAMES, index)
        clip = random_clip(seed, NUM_FRAMES)
        masks = clip.labels == clip.target + 1
        index += 1
        if masks[0].mean() >= MIN_FIRST_SHARE:
            count -= 1
            yield seed, clip.frames, masks


def first_box(masks: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return `box_xyxy` of the first of the masks (T, H, W); raise ValueError if it is empty."""
    box_xyxy = rle.box_of(masks[0])
    if box_xyxy is None:
        raise ValueError("the first mask must cover a pixel, got an empty mask")
    return tuple(float(side) for side in box_xyxy)


def track_from_box(
    tracker: Tracker, frames: NDArray[np.uint8], box_xyxy: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Track the object in a box on the first frame; return bool (T, H, W) of (T, H, W, 3)."""
    stream = [Frame(index, index, rgb) for index, rgb in enumerate(frames)]
    prompt = Prompt(object_id=0, frame_index=0, box_xyxy=box_xyxy)
    clip = PromptedShot(
        read=lambda start, stop: iter(stream[start:stop]),
        prompts={0: [prompt]},
        prompt_frames={0: stream[0]},
    )
    return np.stack([frame.objects[0].mask for frame in tracker.track(clip)])


def _open_tracker() -> ThreadedTracker:
    return ThreadedTracker(WEIGHTS, CONFIG, TrackerParams(device="cpu", max_concurrent_shots=1))


def measure_segmenter(count: int, report: Callable[[str], None]) -> dict[str, Any]:
    """Measure J over held-out clips; the prompt is the true box on the first frame."""
    tracker = _open_tracker()
    per_clip, per_frame = [], []
    for seed, frames, masks in held_out_clips(count):
        similarity = region_similarity(track_from_box(tracker, frames, first_box(masks)), masks)
        per_clip.append(float(similarity.mean()))
        per_frame.append(similarity)
        report(f"clip {seed}: J {per_clip[-1]:.3f}")
    curve = np.mean(per_frame, axis=0)
    return {
        "clips": count, "frames_per_clip": NUM_FRAMES, "prompt": "true box on the first frame",
        "first_seed": seed_of("held_out", NUM_FRAMES, 0),
        "mean_j": _round(np.mean(per_clip)), "median_clip_j": _round(np.median(per_clip)),
        "share_of_clips_under_half": _round(np.mean(np.array(per_clip) < 0.5)),
        "j_first_frame": _round(curve[0]), "j_last_frame": _round(curve[-1]),
        "standard_error": _round(np.std(per_clip) / len(per_clip) ** 0.5),
    }  # fmt: skip


def measure_detector(count: int) -> dict[str, Any]:
    """Measure recall and precision at IoU 0.5 over held-out stills, at a score set on others."""
    from pvtt_flow.training.detector.model import detect, open_detector

    model = open_detector()
    detections: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    truths: list[NDArray[np.float32]] = []
    for index in range(-(-count // pictures.FRAMES_PER_SCENE)):
        for image, boxes in pictures.stills_of(pictures.render_scene("held_out", index)):
            detections.append(detect(model, image, min_score=0.02))
            truths.append(boxes)
    # A quarter of the stills sets the score threshold and is not measured.
    num_calibration = len(truths) // 4
    score = best_threshold(match_detections(detections[:num_calibration], truths[:num_calibration]))
    matched = match_detections(detections[num_calibration:], truths[num_calibration:])
    recall, precision = matched.recall_precision(score)
    empty_detections = [
        pair for pair, truth in zip(detections, truths, strict=True) if not len(truth)
    ]
    false_alarms = [float(scores.max(initial=0.0)) >= score for _, scores in empty_detections]
    return {
        "stills": len(truths) - num_calibration, "stills_that_set_the_score": num_calibration,
        "products": matched.num_products, "first_seed": SEEDS["held_out"] + pictures.SEED_OFFSET,
        "side_px": pictures.SIDE_PX, "min_iou": 0.5, "score": _round(score),
        "recall": _round(recall), "precision": _round(precision),
        "stills_without_product": len(empty_detections),
        "false_alarm_share_without_product": _round(np.mean(false_alarms)),
    }  # fmt: skip


def best_threshold(matched: MatchedDetections) -> float:
    """Return the score threshold with the best F1."""
    options = np.arange(0.05, 0.95, 0.01)

    def f1(score: float) -> float:
        recall, precision = matched.recall_precision(score)
        return 2 * recall * precision / max(recall + precision, 1e-9)

    return float(max(options, key=f1))


def measure_real(folder: Path) -> dict[str, float]:
    """Measure the mean J of each annotated sequence, from the true box on its first frame."""
    tracker = _open_tracker()
    mean_j = {}
    for name, frames, masks in annotated_sequences(folder):
        predicted = track_from_box(tracker, frames, first_box(masks))
        mean_j[name] = _round(region_similarity(predicted, masks).mean())
    return mean_j


def annotated_sequences(
    folder: Path,
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield name, frames (T, H, W, 3) RGB and masks (T, H, W) of one object of each sequence.

    A sequence is a folder with images in `frames` and label images in `masks`.
    """
    for sequence in sorted(path for path in folder.iterdir() if (path / "masks").is_dir()):
        frames = _read_images(sequence / "frames")[..., ::-1]
        labels = _read_images(sequence / "masks").max(-1)
        # One object: white in a binary mask, or the lowest of several numbers.
        yield sequence.name, frames, labels == labels[0][labels[0] > 0].min()


def _read_images(folder: Path) -> NDArray[np.uint8]:
    """Read uint8 (T, H, W, 3) BGR; label images have their numbers in every channel."""
    return np.stack([_read_image(path) for path in sorted(folder.iterdir())])


def _read_image(path: Path) -> NDArray[np.uint8]:
    # PIL keeps a palette image's numbers, where OpenCV would give its colors.
    image = Image.open(path)
    pixels = np.asarray(image if image.mode in ("P", "L") else image.convert("RGB"), np.uint8)
    return pixels[..., ::-1] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def write_figures(
    *, clips: int, stills: int, annotated: Path | None, work: Path, report: Callable[[str], None]
) -> None:
    """Measure both models and write figures.json next to the weights."""
    figures: dict[str, Any] = {
        "command": f"python -m pvtt_flow.training evaluate --clips {clips} --stills {stills}",
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU, shared",
        "segmenter": measure_segmenter(clips, report) | _training_time(work / "segmenter.pt"),
        "detector": measure_detector(stills) | _training_time(work / "detector.pt"),
    }
    if annotated is not None:
        figures["real_sequences_mean_j"] = measure_real(annotated)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    report(json.dumps(figures, indent=2))


def _training_time(checkpoint: Path) -> dict[str, Any]:
    """Return how long the weights were trained, if their checkpoint exists."""
    if not checkpoint.exists():
        return {}
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return {
        "training_iterations": state["iteration"],
        "training_minutes": round(state["seconds"] / 60),
    }


def _round(value: Any) -> float:
    return round(float(value), 4)
