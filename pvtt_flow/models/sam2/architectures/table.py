"""Architectures that the engine runs."""

from pvtt_flow.models.sam2.architectures.edgetam import EDGETAM
from pvtt_flow.models.sam2.architectures.efficienttam import EFFICIENTTAM
from pvtt_flow.models.sam2.architectures.sam2 import SAM2
from pvtt_flow.models.sam2.architectures.sam3_tracker import SAM3_TRACKER

# Those that are told by keys of their own come before others of the same package.
ARCHITECTURES = (EDGETAM, EFFICIENTTAM, SAM2, SAM3_TRACKER)
