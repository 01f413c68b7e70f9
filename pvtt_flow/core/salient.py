"""Agreement of masks with what a salient-object model takes for the subject of a picture.

A model of another kind errs elsewhere than a tracker. It knows no prompt: where the product is not
what the picture is about, it disagrees with masks that are right.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pvtt_flow.params import Params

Mask = NDArray[np.bool_]


class SalientParams(Params):
    """Salient-object model, as `rembg` fetches them: U2-Net, IS-Net, BiRefNet, …"""

    weights: str | None = None
    """Path or uri of its ONNX file; null: not measured. Needs the extra `onnx`."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the file, 64 hexadecimal digits; required with `weights`."""
    normalize: Literal["imagenet", "half"] = "imagenet"
    """Colors that it was trained on: minus ImageNet's mean, over its deviation (`u2net`,
    `birefnet`), or minus a half (`isnet-general-use`)."""
    every: Annotated[int, Field(ge=1)] = 10
    """Number of processed frames from one picture that is looked at to the next; prompted frames
    are looked at, too."""

    @model_validator(mode="after")
    def _check_sha256(self) -> Self:
        if (self.weights is None) != (self.sha256 is None):
            wanted = "null" if self.weights is None else "set"
            raise ValueError(
                f"sha256 must be {wanted} where weights is {self.weights or 'null'}, got "
                f"{self.sha256 or 'null'}; `sha256sum FILE` prints it"
            )
        return self


def salient_iou(mask: Mask, others: Sequence[Mask], salient: Mask) -> float:
    """Return the IoU of an object's mask (H, W) and of what is salient and no other object's."""
    own = salient.copy()
    for other in others:
        own &= ~other | mask
    union = (mask | own).sum()
    return float((mask & own).sum() / union) if union else 0.0
