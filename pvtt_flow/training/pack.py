"""Pack the meshes and skies that are used into one file, for a machine without registries."""

import io
import posixpath
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from pvtt_flow.training.assets import MESHES, SKIES, fetch
from pvtt_flow.training.render.library import CATALOG, small_meshes


def pack(assets: Path, output: Path) -> None:
    """Write a ZIP file that is to be unpacked in the folder `assets` of the other machine."""
    skies = list(fetch(SKIES, assets).rglob("*.exr.js"))
    catalogs = list(fetch(MESHES, assets).rglob("*.sh3f"))
    with ZipFile(output, "w", ZIP_DEFLATED) as packed:
        for path in skies:
            packed.write(path, path.relative_to(assets))
        for path in catalogs:
            packed.writestr(str(path.relative_to(assets)), _small_part(path))


def _small_part(catalog: Path) -> bytes:
    """Return the catalog with the files of its small meshes alone."""
    folders = {posixpath.dirname(mesh.member) for mesh in small_meshes(catalog)}
    content = io.BytesIO()
    with ZipFile(catalog) as whole, ZipFile(content, "w", ZIP_DEFLATED) as part:
        for name in whole.namelist():
            if name == CATALOG or any(name.startswith(f"{folder}/") for folder in folders):
                part.writestr(name, whole.read(name))
    return content.getvalue()
