"""Memory policies by the name that `tracker.memory` has for them."""

from collections.abc import Mapping

from pvtt_flow.models.sam2.dam4sam_policy import Dam4SamPolicy
from pvtt_flow.models.sam2.memory_policy import MemoryPolicy, Sam2Policy, ScoreGatedPolicy
from pvtt_flow.models.sam2.samurai_policy import SamuraiPolicy
from pvtt_flow.models.tracker import MemoryRule

POLICIES: Mapping[MemoryRule, type[MemoryPolicy]] = {
    "sam2": Sam2Policy,
    "score_gated": ScoreGatedPolicy,
    "dam4sam": Dam4SamPolicy,
    "samurai": SamuraiPolicy,
}
