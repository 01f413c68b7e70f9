"""Config files of this package by name."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Return the config files of this package by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}
