"""Folder of the weights that ship, and how they are written."""

import hashlib
from pathlib import Path
from typing import Any

import torch

EMBEDDED = Path(__file__).parents[1] / "models" / "embedded"


def write_weights(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and the SHA256SUMS of its folder; each is complete when it appears."""
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.rename(path)
    _write_checksums(path.parent)


def _write_checksums(folder: Path) -> None:
    """Write the checksums of all weight and config files, in the format of `sha256sum`."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".pt", ".yaml"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    part = folder / "SHA256SUMS.part"
    part.write_text("".join(lines))
    part.rename(folder / "SHA256SUMS")
