"""The streamed tracker against the official predictor fed the same frames."""

import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import sam2.sam2_video_predictor as official
import torch

from pvtt_flow.core import rle
from pvtt_flow.data import Frame, Prompt
from pvtt_flow.errors import ConfigError
from pvtt_flow.models.sam2_build import build_predictor
from pvtt_flow.models.sam2_tracker import Sam2Tracker
from pvtt_flow.models.tracker import TrackedFrame

HEIGHT_PX, WIDTH_PX = 72, 96


def clip(num_frames: int) -> list[Frame]:
    """A bright square that moves over noise."""
    rng = np.random.default_rng(3)
    ground = rng.integers(0, 90, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    frames = []
    for i in range(num_frames):
        rgb = ground.copy()
        rgb[20:44, 8 + 2 * i : 32 + 2 * i] = (230, 190, 40)
        frames.append(Frame(3 * i, i * 10**8, rgb))
    return frames


def box(object_id: int, *xyxy: float) -> Prompt:
    return Prompt(object_id=object_id, frame_index=0, box_xyxy=xyxy)


def mask_prompt(object_id: int) -> Prompt:
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    mask[20:44, 8:32] = True
    return Prompt(object_id=object_id, frame_index=0, mask_rle=rle.encode(mask))


POINTS = Prompt(object_id=2, frame_index=0, points_xy=((20, 30), (80, 60)), point_labels=(1, 0))
BOX_AND_POINT = Prompt(
    object_id=0,
    frame_index=0,
    box_xyxy=(8, 20, 32, 44),
    points_xy=((15, 30),),
    point_labels=(1,),
)


@pytest.fixture(scope="module")
def tracker(random_weights: Path, config: Path) -> Sam2Tracker:
    return Sam2Tracker(random_weights, config, "cpu")


def official_logits(
    weights: Path,
    config: Path,
    frames: Sequence[Frame],
    prompts: dict[int, list[Prompt]],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[int, torch.Tensor]:
    """Logits (N, 1, H, W) by position from the predictor as its own examples use it."""
    from sam2.utils.misc import _load_img_as_tensor

    predictor = build_predictor(weights, config, torch.device("cpu"))
    size = predictor.image_size
    images = torch.stack([_official_image(f.rgb, size, _load_img_as_tensor) for f in frames])
    loaded = (images, HEIGHT_PX, WIDTH_PX)
    monkeypatch.setattr(official, "load_video_frames", lambda **_: loaded)
    state = predictor.init_state("unused")
    for position, given in prompts.items():
        for p in given:
            if p.mask_rle is not None:
                mask = rle.decode(p.mask_rle, HEIGHT_PX, WIDTH_PX)
                predictor.add_new_mask(state, position, p.object_id, mask)
            else:
                predictor.add_new_points_or_box(
                    state,
                    position,
                    p.object_id,
                    points=np.array(p.points_xy, np.float32) if p.points_xy else None,
                    labels=np.array(p.point_labels, np.int32) if p.points_xy else None,
                    box=np.array(p.box_xyxy, np.float32) if p.box_xyxy else None,
                )
    return {k: logits for k, _, logits in predictor.propagate_in_video(state)}


def _official_image(rgb: np.ndarray, size: int, load: object) -> torch.Tensor:
    """Through the official loader's own code, by way of a lossless file in memory."""
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    image, _, _ = load(stream, size)  # type: ignore[operator]
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    return ((image.float() - mean) / std).float()


@pytest.mark.parametrize(
    ("num_frames", "prompts"),
    [
        (1, {0: [box(0, 8, 20, 32, 44)]}),
        (9, {0: [box(0, 8, 20, 32, 44), box(1, 50, 40, 70, 70), POINTS]}),
        (22, {0: [box(0, 8, 20, 32, 44)]}),
        (4, {0: [BOX_AND_POINT, mask_prompt(1)]}),
        (9, {2: [box(4, 8, 20, 32, 44)], 5: [box(4, 18, 20, 42, 44)]}),
    ],
    ids=[
        "one frame",
        "box, box, points",
        "past the memory",
        "box and point, mask",
        "prompted twice",
    ],
)
def test_masks_are_those_of_the_official_predictor(
    tracker: Sam2Tracker,
    random_weights: Path,
    config: Path,
    num_frames: int,
    prompts: dict[int, list[Prompt]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = clip(num_frames)
    pinned = {k: frames[k] for k in prompts}
    tracked = list(tracker.track(iter(frames), prompts, pinned))
    expected = official_logits(random_weights, config, frames, prompts, monkeypatch)

    assert [t.frame_index for t in tracked] == [f.frame_index for f in frames]
    assert [t.pts_ns for t in tracked] == [f.pts_ns for f in frames]
    first = min(prompts)
    assert all(not t.objects for t in tracked[:first])
    for position, found in enumerate(tracked[first:], first):
        masks = np.stack([o.mask for o in found.objects])
        assert (masks == (expected[position][:, 0] > 0).numpy()).all()


def test_an_object_may_be_prompted_late(tracker: Sam2Tracker) -> None:
    # The official predictor crashes here in fp32: before its prompt the object has no pointers.
    frames = clip(6)
    prompts = {0: [box(0, 8, 20, 32, 44)], 3: [mask_prompt(1)]}
    both = list(tracker.track(iter(frames), prompts, {0: frames[0], 3: frames[3]}))
    alone = list(tracker.track(iter(frames), {0: prompts[0]}, {0: frames[0]}))
    for together, single in zip(both, alone, strict=True):
        assert [o.object_id for o in together.objects] == [0, 1]
        assert (together.objects[0].mask == single.objects[0].mask).all()
    given = rle.decode(prompts[3][0].mask_rle or "", HEIGHT_PX, WIDTH_PX)
    kept = both[3].objects[1].mask
    assert (kept & given).sum() / (kept | given).sum() > 0.9


def test_scores_are_reported_where_the_model_has_them(tracker: Sam2Tracker) -> None:
    frames = clip(3)
    prompts = {0: [box(0, 8, 20, 32, 44), mask_prompt(1)]}
    first, second, _ = tracker.track(iter(frames), prompts, {0: frames[0]})
    assert [o.object_id for o in first.objects] == [0, 1]
    assert first.objects[0].predicted_iou is not None
    assert first.objects[1].predicted_iou is None, "a mask prompt is not predicted"
    assert all(o.predicted_iou is not None and 0 <= o.predicted_iou <= 1 for o in second.objects)
    assert all(np.isfinite(o.object_score) for o in second.objects)


def test_frames_are_let_go(tracker: Sam2Tracker) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def stream() -> Iterator[Frame]:
        for i in range(60):
            frame = Frame(i, i, np.full((HEIGHT_PX, WIDTH_PX, 3), i, np.uint8))
            alive.append(weakref.ref(frame.rgb))
            yield frame

    pinned = Frame(0, 0, np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))
    found: TrackedFrame | None = None
    for found in tracker.track(stream(), {0: [box(0, 8, 20, 32, 44)]}, {0: pinned}):
        if found.frame_index % 20 == 0:
            gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
    assert found is not None
    assert found.frame_index == 59
    assert most <= 2


def test_a_config_may_only_name_classes_of_sam2(tmp_path: Path, random_weights: Path) -> None:
    evil = tmp_path / "evil.yaml"
    evil.write_text("model:\n  _target_: sam2.x\n  inner:\n    - {_target_: os.system}\n")
    with pytest.raises(ConfigError, match=r"_target_ must be a class of sam2, got os\.system"):
        build_predictor(random_weights, evil, torch.device("cpu"))


def test_weights_of_another_form_are_refused(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weights": 1}, path)
    with pytest.raises(ConfigError, match="state dict under `model`"):
        build_predictor(path, config, torch.device("cpu"))


def test_weights_of_another_architecture_are_refused(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"x": torch.zeros(1)}}, path)
    with pytest.raises(ConfigError, match=r"\$\.tracker\.config .* does not belong to"):
        build_predictor(path, config, torch.device("cpu"))
