"""Context in which both trackers store memories in float32.

Both round the memories that they store to bfloat16. Where two sums differ in their last bit, one
may be rounded up and the other down, and a difference of 1e-6 becomes one of 1e-3. Without rounding
the tests compare what was computed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest
import sam2.sam2_video_predictor as official
import torch

from pvtt_flow.models.sam2 import memory_encoder


@contextmanager
def float32_memories(*others: ModuleType) -> Iterator[None]:
    """Apply to SAM 2's predictor, to the engine and to `others`."""
    torch_without_bfloat16 = ModuleType("torch")
    vars(torch_without_bfloat16).update(vars(torch), bfloat16=torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        for module in (official, memory_encoder, *others):
            patch.setattr(module, "torch", torch_without_bfloat16)
        yield
