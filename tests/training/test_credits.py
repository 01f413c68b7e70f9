"""Credits: every author by license, and no mesh of unknown terms."""

from pathlib import Path

import pytest

from pvtt_flow.training.credits import write_credits
from pvtt_flow.training.render.library import MeshFile


def mesh(name: str, creator: str) -> MeshFile:
    return MeshFile(Path("catalog.sh3f"), "model.obj", name, creator)


def test_authors_are_named_by_license(tmp_path: Path) -> None:
    path = tmp_path / "CREDITS.md"
    write_credits(path, "These were shown.", [
        mesh("Scopia#radio", "Scopia"),
        mesh("Blend Swap CC-BY#pan", "Jay"),
        mesh("Kator Legaz#glass", "Andrew Kator & Jennifer Legaz"),
        mesh("Blend Swap CC-BY#fork", "Jay"),
    ])  # fmt: skip
    assert (
        path.read_text()
        == """# Credits

These were shown.

## Creative Commons Attribution 3.0 (https://creativecommons.org/licenses/by/3.0/)

- Jay: fork, pan
- Scopia: radio

## Creative Commons Attribution 3.0 United States (https://creativecommons.org/licenses/by/3.0/us/)

- Andrew Kator & Jennifer Legaz: glass
"""
    )


def test_a_license_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the license of 'Elsewhere' must be known"):
        write_credits(tmp_path / "CREDITS.md", "", [mesh("Elsewhere#radio", "Nobody")])
    assert not (tmp_path / "CREDITS.md").exists()
