"""Both trackers with memories in float32.

Both round the memories that they store to bfloat16. Where two sums differ in their last bit, one
may round up and the other down, and a difference of 1e-6 becomes one of 1e-3: a matter of luck,
not of sameness. Without the rounding what is compared is what was computed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
import sam2.sam2_video_predictor as official
import torch

from pvtt_flow.models.sam2 import memory_encoder


@contextmanager
def unrounded() -> Iterator[None]:
    fine = ModuleType("torch")
    vars(fine).update(vars(torch), bfloat16=torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        for module in (official, memory_encoder):
            patch.setattr(module, "torch", fine)
        yield
