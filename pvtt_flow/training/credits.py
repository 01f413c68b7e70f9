"""Name the authors of meshes, as the licenses of the meshes ask of what is made with them."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pvtt_flow.training.render.library import MeshFile

FILE = "CREDITS.md"
_BY = "Creative Commons Attribution 3.0"
_URL = "https://creativecommons.org/licenses/by/3.0/"
# By catalog, as the package's copyright file has them. CC0 asks for nothing, and is named too.
LICENSES = {
    "Blend Swap CC-0": "CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)",
    "Blend Swap CC-BY": f"{_BY} ({_URL})",
    "Kator Legaz": f"{_BY} United States ({_URL}us/)",
    "Reallusion": f"{_BY} United States ({_URL}us/)",
    "Scopia": f"{_BY} ({_URL})",
}


def write_credits(path: Path, use: str, meshes: Iterable[MeshFile]) -> None:
    """Write who made the meshes, and what became of them: `use` is a sentence.

    Raises ValueError for a mesh of a catalog whose license is not known.
    """
    path.write_text(f"# Credits\n\n{use}\n" + "".join(_sections(meshes)))


def _sections(meshes: Iterable[MeshFile]) -> Iterable[str]:
    authors: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for mesh in meshes:
        catalog = mesh.name.partition("#")[0]
        if catalog not in LICENSES:
            raise ValueError(f"the license of {catalog!r} must be known; add it to {__name__}")
        authors[LICENSES[catalog]][mesh.creator].append(mesh.short_name)
    for license_name, by_author in sorted(authors.items()):
        yield f"\n## {license_name}\n\n"
        for author, names in sorted(by_author.items()):
            yield f"- {author}: {', '.join(sorted(names))}\n"
