"""The engine and the official predictor, each run as its users run it, on frames in memory."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.models import checkpoints
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.threaded_tracker import ThreadedTracker
from pvtt_flow.models.sam2.tuning import AS_SHIPPED, Tuning
from pvtt_flow.models.tracker import Tracker, TrackerParams
from tests.bench.clips import Clip, Filmed

MAX_CONCURRENT_SHOTS = 8
TINY_SIZE_PX = 256
_CPU = torch.device("cpu")
_ON_CPU = TrackerParams(device="cpu", max_concurrent_shots=MAX_CONCURRENT_SHOTS)
_MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
_STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]

Mask = NDArray[np.bool_]
Precision = Literal["float32", "bfloat16"]
Architecture = Literal["tiny", "small", "base+", "large"]
_LETTERS: dict[Architecture, str] = {"tiny": "t", "small": "s", "base+": "b+", "large": "l"}
See = Callable[[int, int, Sequence[Mask]], None]
"""Takes a clip's number, a frame's number, and each object's mask, bool (H, W) at display size."""


@dataclass(frozen=True, slots=True)
class Model:
    """Architecture and its weights, on disk, where every system loads them from."""

    name: str
    config: Path
    weights: Path | None
    """None: random ones."""
    size_px: int


class System(Protocol):
    """System that tracks."""

    @property
    def name(self) -> str:
        """In tables and results."""
        ...

    def track(self, clips: Sequence[Clip], see: See) -> None:
        """Tracks all clips from their prompts; every mask goes to `see`, from any thread."""
        ...


class Engine:
    """The project's tracker, called from one thread for each concurrent shot."""

    name = "engine"

    def __init__(
        self,
        model: Model,
        params: TrackerParams = _ON_CPU,
        tuning: Tuning = AS_SHIPPED,
    ) -> None:
        self._tracker = ThreadedTracker(model.weights, model.config, params, tuning)
        self._num_threads = params.max_concurrent_shots

    @property
    def tracker(self) -> Tracker:
        """Tracker of the pipeline's stages."""
        return self._tracker

    @property
    def chosen(self) -> str | None:
        """Kernel of the attention to memories, with the times of all."""
        return self._tracker.attention

    def track(self, clips: Sequence[Clip], see: See) -> None:
        """See `System`."""
        with ThreadPoolExecutor(self._num_threads) as pool:
            for _ in pool.map(self._track, range(len(clips)), clips, [see] * len(clips)):
                pass

    def _track(self, number: int, clip: Clip, see: See) -> None:
        for tracked in self._tracker.track(clip.clip()):
            see(number, tracked.frame_index, [o.mask for o in tracked.objects])


class Official:
    """sam2's own video predictor: one clip after the other."""

    name = "official"

    def __init__(
        self,
        model: Model,
        device: torch.device = _CPU,
        *,
        precision: Precision = "float32",
        vos_optimized: bool = False,
        keeps_images: bool = False,
    ) -> None:
        """Load the model.

        `vos_optimized` compiles it as `build_sam2_video_predictor(vos_optimized=True)` does. With
        `keeps_images`, a clip in memory is resized once: what follows is the model's time.
        """
        self._predictor = build_predictor(model.weights, model.config, device)
        self._precision = precision
        self._device = device
        self._keeps_images = keeps_images
        self._images: dict[int, tuple[Clip, torch.Tensor]] = {}
        if vos_optimized:
            _optimize(self._predictor)

    def track(self, clips: Sequence[Clip], see: See) -> None:
        """See `System`."""
        for number, clip in enumerate(clips):
            with self._autocast():
                self._track(number, clip, see)

    def _track(self, number: int, clip: Clip, see: See) -> None:
        state = self._state(clip)
        for prompt in clip.prompts:
            box = np.array(prompt.box_xyxy, np.float32)
            self._predictor.add_new_points_or_box(state, 0, prompt.object_id, box=box)
        for frame, _, logits in self._predictor.propagate_in_video(state):
            see(number, frame, list((logits[:, 0] > 0).cpu().numpy()))

    def _state(self, clip: Clip) -> Any:
        """`init_state`, whose loader finds the frames in memory instead of in a folder."""

        def load(**_: object) -> tuple[torch.Tensor, int, int]:
            return self._loaded(clip), *clip.size_px

        with patch("sam2.sam2_video_predictor.load_video_frames", load):
            return self._predictor.init_state("in memory")

    def _loaded(self, clip: Clip) -> torch.Tensor:
        size_px = self._predictor.image_size
        if not self._keeps_images or not isinstance(clip, Filmed):
            return loaded(clip, size_px).to(self._device)
        key = id(clip.frames)
        if key not in self._images:
            # With the clip, so that no other one takes its id.
            self._images[key] = clip, loaded(clip, size_px).to(self._device)
        return self._images[key][1]

    def _autocast(self) -> AbstractContextManager[object]:
        if self._precision == "bfloat16":
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()


def tracker(model: Model, params: TrackerParams) -> ThreadedTracker:
    """The project's tracker."""
    return ThreadedTracker(model.weights, model.config, params)


def loaded(clip: Clip, size_px: int) -> torch.Tensor:
    """float32 (T, 3, S, S): resized and normalised by the official loader's own steps.

    `sam2/utils/misc.py:92-101,246-260`, less the reading of files.
    """
    frames = clip.frames
    images = torch.zeros(len(frames), 3, size_px, size_px)
    for image, frame in zip(images, frames, strict=True):
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
        size_px=256,
    )


def embedded_for(folder: Path, size_px: int) -> Model:
    """The model that ships, for other images than it was trained on: only its speed is its own."""
    from omegaconf import OmegaConf

    model, config = embedded(), folder / f"embedded-{size_px}.yaml"
    tree: Any = OmegaConf.load(model.config)
    _set_size(tree, size_px)
    OmegaConf.save(tree, config)
    return replace(model, config=config, size_px=size_px)


def tiny(folder: Path) -> Model:
    """SAM 2.1 tiny for small images, with random weights; written to `folder`."""
    return random_model(folder, "tiny", TINY_SIZE_PX)


def random_model(folder: Path, architecture: Architecture, size_px: int) -> Model:
    """SAM 2.1 for images of this size, with random weights; written to `folder` once."""
    import sam2
    from omegaconf import OmegaConf

    letters = _LETTERS[architecture]
    folder = folder / f"{architecture}-{size_px}"
    # The name by which ultralytics knows the architecture.
    weights, config = folder / f"sam2.1_{letters}.pt", folder / f"{architecture}.yaml"
    model = Model(architecture, config, weights, size_px)
    if weights.exists():
        return model
    folder.mkdir()
    configs = Path(str(sam2.__file__)).parent / "configs" / "sam2.1"
    tree: Any = OmegaConf.load(configs / f"sam2.1_hiera_{letters}.yaml")
    _set_size(tree, size_px)
    OmegaConf.save(tree, config)
    torch.manual_seed(0)
    torch.save({"model": build_predictor(None, config, _CPU).state_dict()}, weights)
    return model


def _set_size(tree: Any, size_px: int) -> None:
    tree.model.image_size = size_px
    layer = tree.model.memory_attention.layer
    for attention in (layer.self_attention, layer.cross_attention):
        attention.feat_sizes = [size_px // 16] * 2


def _optimize(predictor: Any) -> None:
    """Compile a predictor as `vos_optimized=True` does: `SAM2VideoPredictorVOS` and its encoder."""
    from sam2.sam2_video_predictor import SAM2VideoPredictorVOS

    predictor.__class__ = SAM2VideoPredictorVOS
    predictor._compile_all_components()
    predictor.image_encoder.forward = torch.compile(
        predictor.image_encoder.forward, mode="max-autotune", fullgraph=True, dynamic=False
    )


def ignore(_clip: int, _frame: int, _masks: Iterable[Mask]) -> None:
    """A `See` for when only the time matters."""
