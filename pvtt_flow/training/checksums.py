"""SHA256SUMS next to the shipped weights, in the format of `sha256sum`."""

import hashlib
from pathlib import Path


def write_checksums(folder: Path) -> None:
    """Write the checksum of every weight and config file of the folder, through a partial file."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".pt", ".yaml"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    part = folder / "SHA256SUMS.part"
    part.write_text("".join(lines))
    part.rename(folder / "SHA256SUMS")
