"""Content of a product shot; `staged.py` renders it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Products on a table under a sky."""

    meshes: tuple[str, ...]
    """Names of the library's meshes without their catalog, from left to right."""
    sky: str
    """Beginning of the name of a sky."""
    surface: int
    """Seed of the table's picture."""
    leaves: bool = False
    """True if the first product is pushed out of the picture and comes back."""
