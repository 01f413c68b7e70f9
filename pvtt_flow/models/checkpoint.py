"""Entry in the table of checkpoints."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["tracker", "detector", "text encoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights file that is known by name."""

    name: str
    file_name: str
    sha256: str
    license: str
    """SPDX identifier, or the name that the publisher gives."""
    kind: Kind
    config: str | None = None
    """Config of a tracker's architecture, in the `sam2` package or in this one."""
    text_encoder: str | None = None
    """Name of a detector's text encoder, if it can look for phrases."""
    url: str | None = None
    """Address at its publisher; None for a file of this package."""
    gated: bool = False
    """True if the publisher gives the file only to accounts that accepted its license."""
