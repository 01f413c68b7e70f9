"""Architecture: what sets it apart from the others that the engine runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

PyramidEncoder: TypeAlias = Callable[[Tensor], list[Tensor]]
"""Encodes normalized float32 images (F, 3, S, S) to feature maps (F, C, H, W), finest first; the
last one has the grid of the memories."""
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Reading of its configs, and what the engine computes differently.

    Built from its config, each is a `SAM2VideoPredictor` of the package `sam2` with modules of its
    own inside.
    """

    name: str
    title: str
    """Name for people, with an article."""
    package: str
    """Package of the classes in its configs."""
    own_keys: frozenset[str] = frozenset()
    """Keys of a config's `model` that tell this architecture from others of the same package."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """Classes of `package`, without its name, that are not `sam2`'s of the same name: theirs to
    paths of ours."""
    predictor: str = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    """Class to build from a config's `model`."""
    required: Mapping[str, object]
    """Settings that all of its published configs have and the engine relies on. Others are honored,
    or an architecture with them cannot run (`try_tracker`)."""
    image_encoder: Callable[[Any, int], PyramidEncoder]
    """Makes the image encoder from the `image_encoder` of a predictor and the size of images in
    pixels."""
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    """Mean and standard deviation that normalize RGB values in [0, 1]."""
    own_weights: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    """Returns the state dict of a predictor from a published one; None where they are the same."""
    keeps_soft_edges: bool = False
    """True if mask prompts are not thresholded after they are resized."""
    corrects_by_memory: bool = True
    """True if corrections are decoded from the memory-conditioned tokens of their frame, False if
    from its features, as the first prompts are; both read the tracked mask."""

    def describes(self, model: Mapping[str, Any]) -> bool:
        """Return whether a config's `model` is of this architecture."""
        root = str(model.get("_target_", ""))
        return root.startswith(f"{self.package}.") and self.own_keys <= set(model)

    def class_path(self, target: str) -> str | None:
        """Return the class to build for a class that a config names; None if there is none."""
        package, _, path = target.partition(".")
        if package != self.package or not path:
            return None
        return self.classes.get(path, f"sam2.{path}")
