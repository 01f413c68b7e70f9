"""The engine and the official predictor, each run as its users run it, on frames in memory."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.tracker import TrackerParams
from tests.bench.clips import Filmed

MAX_CONCURRENT_SHOTS = 8
TINY_SIZE_PX = 256
_CPU = torch.device("cpu")
_MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
_STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]

Mask = NDArray[np.bool_]
See = Callable[[int, int, Sequence[Mask]], None]
"""Takes a clip's number, a frame's number, and each object's mask, bool (H, W) at display size."""


@dataclass(frozen=True, slots=True)
class Model:
    """An architecture and its weights, on disk, where every system loads them from."""

    name: str
    config: Path
    weights: Path
    size_px: int


class System(Protocol):
    """System that tracks."""

    @property
    def name(self) -> str:
        """In tables and results."""
        ...

    def track(self, clips: Sequence[Filmed], see: See) -> None:
        """Tracks all clips from their prompts; every mask goes to `see`, from any thread."""
        ...


class Engine:
    """The project's tracker, called from one thread for each concurrent shot."""

    name = "engine"

    def __init__(self, model: Model) -> None:
        self._tracker = tracker(model, MAX_CONCURRENT_SHOTS)

    def track(self, clips: Sequence[Filmed], see: See) -> None:
        """See `System`."""
        with ThreadPoolExecutor(MAX_CONCURRENT_SHOTS) as pool:
            for _ in pool.map(self._track, range(len(clips)), clips, [see] * len(clips)):
                pass

    def _track(self, number: int, clip: Filmed, see: See) -> None:
        for tracked in self._tracker.track(clip.clip()):
            see(number, tracked.frame_index, [o.mask for o in tracked.objects])


class Official:
    """sam2's own video predictor: one clip after the other."""

    name = "official"

    def __init__(self, model: Model) -> None:
        self._predictor = build_predictor(model.weights, model.config, _CPU)

    def track(self, clips: Sequence[Filmed], see: See) -> None:
        """See `System`."""
        for number, clip in enumerate(clips):
            state = self._state(clip)
            for prompt in clip.prompts:
                box = np.array(prompt.box_xyxy, np.float32)
                self._predictor.add_new_points_or_box(state, 0, prompt.object_id, box=box)
            for frame, _, logits in self._predictor.propagate_in_video(state):
                see(number, frame, list((logits[:, 0] > 0).cpu().numpy()))

    def _state(self, clip: Filmed) -> Any:
        """`init_state`, whose loader finds the frames in memory instead of in a folder."""

        def load(**_: object) -> tuple[torch.Tensor, int, int]:
            return loaded(clip, self._predictor.image_size), *clip.size_px

        with patch("sam2.sam2_video_predictor.load_video_frames", load):
            return self._predictor.init_state("in memory")


def tracker(model: Model, max_concurrent_shots: int) -> ThreadedTracker:
    """The project's tracker on the CPU."""
    return ThreadedTracker(
        model.weights,
        model.config,
        TrackerParams(device="cpu", max_concurrent_shots=max_concurrent_shots),
    )


def loaded(clip: Filmed, size_px: int) -> torch.Tensor:
    """float32 (T, 3, S, S): resized and normalised by the official loader's own steps.

    `sam2/utils/misc.py:92-101,246-260`, less the reading of files.
    """
    images = torch.zeros(len(clip.frames), 3, size_px, size_px)
    for image, frame in zip(images, clip.frames, strict=True):
        small = np.array(Image.fromarray(frame.rgb).convert("RGB").resize((size_px, size_px)))
        image.copy_(torch.from_numpy(small / 255.0).permute(2, 0, 1))
    images -= _MEAN
    images /= _STD
    return images


def embedded() -> Model:
    """The model that ships in the package."""
    return Model(
        name="embedded",
        config=checkpoints.embedded_file("sam2_embedded.yaml"),
        weights=checkpoints.embedded_file("sam2_embedded.pt"),
        size_px=128,
    )


def tiny(folder: Path) -> Model:
    """SAM 2.1 tiny for small images, with random weights; written to `folder`."""
    import sam2
    from omegaconf import OmegaConf

    shipped = Path(str(sam2.__file__)).parent / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml"
    tree: Any = OmegaConf.load(shipped)
    tree.model.image_size = TINY_SIZE_PX
    layer = tree.model.memory_attention.layer
    for attention in (layer.self_attention, layer.cross_attention):
        attention.feat_sizes = [TINY_SIZE_PX // 16] * 2
    config = folder / "tiny.yaml"
    OmegaConf.save(tree, config)
    torch.manual_seed(0)
    # The name by which ultralytics knows the architecture.
    weights = folder / "sam2.1_t.pt"
    torch.save({"model": build_predictor(None, config, _CPU).state_dict()}, weights)
    return Model("tiny", config, weights, TINY_SIZE_PX)


def ignore(_clip: int, _frame: int, _masks: Iterable[Mask]) -> None:
    """A `See` for when only the time matters."""
