"""Cutie (https://arxiv.org/abs/2310.12982) as a propagator, by its own package `rf-cutie`.

Settings are those of its eval_config.yaml for videos of any kind (`generic`): long-term memory, a
memory frame each 5 frames. Frames are resized to a shorter side of at most 480 px by its
`InferenceCore`, as in its other configs. Late objects are those of that class, too: a given mask
takes its pixels from the other objects and makes a memory frame. Where only known objects are
given, that class takes them for all there are, so the masks of the others are predicted first. Of
given masks that overlap, the last object keeps a pixel. The network runs in float32.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.baselines.propagation import Propagator
from pvtt_flow.models.baselines.published_weights import load_published, read_published

_SETTINGS = {"max_internal_size": 480, "use_long_term": True, "mem_every": 5}
_STRIDE = 16
_BUILDING = threading.Lock()


def build_cutie(weights: Path, device: torch.device) -> Propagator:
    """Build Cutie with published weights.

    Raises ConfigError for weights of another form, and without the package.
    """
    try:
        from cutie.model.cutie import CUTIE
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"$.tracker.baseline.method: cutie needs the package rf-cutie, but {error.name} is "
            "missing; pip install 'pvtt_flow[cutie]'"
        ) from error
    settings = _settings()
    with _without_downloads():
        network = CUTIE(settings)
    load_published(network, read_published(weights, "Cutie"), weights, "Cutie")
    return partial(CutiePropagation, network.to(device).eval(), settings)


class CutiePropagation:
    """Memory of one pass over one shot."""

    def __init__(self, network: Any, settings: Any) -> None:
        self._network = network
        self._settings = settings
        self._core: Any = None
        """Made for the size of the first frame that has objects."""
        self._ids: list[int] = []
        """Objects in the order of entry, which is that of the core's channels."""

    @torch.inference_mode()
    def step(
        self, frame: NDArray[np.uint8], masks: Mapping[int, NDArray[np.bool_]]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Return the probability (H, W) of each object that was given so far, by object id."""
        new = [i for i in masks if i not in self._ids]
        self._ids += new
        if not self._ids:
            return {}
        if self._core is None:
            self._core = self._make_core(*frame.shape[:2])
        # A copy: frames of a decoder are read-only.
        image = torch.tensor(frame, device=self._device).permute(2, 0, 1).float() / 255
        if masks and not new:
            # Given ones come last, so that they keep their pixels.
            others = {i: m for i, m in self._predicted(image).items() if i not in masks}
            masks = {**others, **masks}
        given = [i for i in self._ids if i in masks]
        labels = self._labels(masks) if given else None
        found = self._core.step(image, labels, [i + 1 for i in given] if given else None)
        return dict(zip(self._ids, found[1:].float().cpu().numpy(), strict=True))

    def _predicted(self, image: torch.Tensor) -> dict[int, NDArray[np.bool_]]:
        """Return the masks of the known objects on a frame, which remains to be given."""
        found = self._core.step(image, end=True)
        self._core.curr_ti -= 1
        labels = found.argmax(0).cpu().numpy()
        return {i: labels == channel for channel, i in enumerate(self._ids, 1)}

    def _make_core(self, height: int, width: int) -> Any:
        from cutie.inference.inference_core import InferenceCore
        from omegaconf import OmegaConf

        # It stops where a memory has fewer places than it reads.
        num_places = -(-height // _STRIDE) * -(-width // _STRIDE)
        top_k = min(self._settings.top_k, num_places)
        return InferenceCore(self._network, OmegaConf.merge(self._settings, {"top_k": top_k}))

    @property
    def _device(self) -> torch.device:
        device: torch.device = self._network.pixel_mean.device
        return device

    def _labels(self, masks: Mapping[int, NDArray[np.bool_]]) -> torch.Tensor:
        """Return which object each pixel is of, int64 (H, W): 0 for none, else its id plus 1."""
        labels = np.zeros(next(iter(masks.values())).shape, np.int64)
        for object_id, mask in masks.items():
            labels[mask] = object_id + 1
        return torch.from_numpy(labels).to(self._device)


def _settings() -> Any:
    from omegaconf import OmegaConf

    folder = files("cutie.config")
    settings = OmegaConf.create(folder.joinpath("eval_config.yaml").read_text())
    model = OmegaConf.create(folder.joinpath("model", "base.yaml").read_text())
    return OmegaConf.merge(settings, {"model": model}, _SETTINGS)


@contextmanager
def _without_downloads() -> Iterator[None]:
    """Let the constructor of the network leave its ResNets as they are.

    It downloads their ImageNet weights, which the published ones replace.
    """
    from cutie.model.utils import resnet

    with _BUILDING:
        own = resnet.model_zoo, resnet.load_weights_add_extra_dim
        resnet.model_zoo = SimpleNamespace(load_url=lambda *_, **__: {})
        resnet.load_weights_add_extra_dim = lambda *_: None
        try:
            yield
        finally:
            resnet.model_zoo, resnet.load_weights_add_extra_dim = own
