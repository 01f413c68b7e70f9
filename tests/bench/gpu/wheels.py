"""Wheels for a machine without a network: `python -m tests.bench.gpu.wheels FOLDER`.

Finds what the benchmark imports, in the versions that are installed here, and collects the wheels
that a machine with a CUDA build of torch lacks, in parcels of at most 64 MiB: folders `1`, `2` and
so on, the smallest wheels first. Every part but `job` runs with the first parcel. sam2 is built
without its CUDA extension, which the benchmark does not use. Packages that have no wheel are built
here, and must be pure Python. Prints the sizes and the command that installs a parcel there.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.gpu.plan import PARTS

# The parts, and what is imported where a model is built.
_IMPORTED = (
    *(f"tests.bench.gpu.{part}" for part in PARTS),
    "sam2.sam2_video_predictor",
    "hydra.utils",
    "omegaconf",
)
_FIND = """
import importlib, json, sys
from importlib.metadata import packages_distributions
for name in sys.argv[1:]:
    importlib.import_module(name)
owners = packages_distributions()
tops = {name.partition(".")[0] for name in list(sys.modules)}
print(json.dumps(sorted({owner for top in tops for owner in owners.get(top, ())})))
"""
# What an image with torch for CUDA has, or what is imported only because it is installed here.
THERE = frozenset(
    """
    attrs cuda-bindings cuda-pathfinder dill fsspec numpy nvidia-ml-py opencv-python packaging
    pandas pillow psutil pvtt-flow pyarrow python-dateutil pyyaml rich setuptools six torch
    torchvision tornado tqdm triton typing-extensions
    """.split()  # noqa: SIM905 (a list of words)
)
_GLIBCS = (34, 31, 28, 27, 24, 17)
_MIB = 1 << 20
_ROOT = Path(__file__).parents[3]


def main() -> None:
    """Collect the wheels that the command line asks for."""
    options = _options()
    names = lacking(imported(), [*THERE, *options.there])
    with TemporaryDirectory() as folder:
        for name in names:
            _fetch(f"{name}=={version(name)}", Path(folder), options.python)
        wheels = sorted(Path(folder).glob("*.whl"))
        sizes = {wheel.name: wheel.stat().st_size for wheel in wheels}
        folders = parcels(sizes, options.parcel_mib * _MIB)
        for number, parcel in enumerate(folders, 1):
            target: Path = options.folder / str(number)
            target.mkdir(parents=True, exist_ok=True)
            for name in parcel:
                shutil.copy(Path(folder) / name, target)
                print(f"{sizes[name] / _MIB:8.1f} MiB  {name}")
            print(f"{sum(sizes[n] for n in parcel) / _MIB:8.1f} MiB: {install_command(target)}")


def imported() -> list[str]:
    """Return the packages that the benchmark imports, found in a process of its own."""
    command = [sys.executable, "-c", _FIND, *_IMPORTED]
    done = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: list[str] = json.loads(done.stdout)
    return found


def lacking(packages: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the packages that are not there, by their normal names, in order."""
    return sorted({*map(normal, packages)} - {*map(normal, there)})


def normal(name: str) -> str:
    """Return the normal form of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parcels(sizes: dict[str, int], limit: int) -> list[list[str]]:
    """Put files, the smallest first, into parcels of at most `limit` bytes.

    Raises ValueError for a file that is larger.
    """
    found: list[list[str]] = [[]]
    for name in sorted(sizes, key=lambda name: sizes[name]):
        if sizes[name] > limit:
            raise ValueError(f"a wheel must have at most {limit} bytes, got {name}: {sizes[name]}")
        if sum(sizes[n] for n in found[-1]) + sizes[name] > limit:
            found.append([])
        found[-1].append(name)
    return found


def install_command(parcel: Path) -> str:
    """Return the shell command that installs a parcel beside what is there."""
    install = "python3 -m pip install --no-index --no-deps --no-compile --upgrade"
    # In a folder of its own: the machine is lent for minutes, and its torch must stay.
    return f"{install} --target /tmp/site {parcel}/*.whl && export PYTHONPATH=/tmp/site:$PWD"


def _fetch(requirement: str, folder: Path, python: str) -> None:
    """Download a wheel for the other machine's Python, or build one where none is published."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    platforms = [f"--platform=manylinux_2_{glibc}_x86_64" for glibc in _GLIBCS]
    download = ["download", "--no-deps", "--only-binary=:all:", f"--python-version={python}"]
    download += ["--implementation=cp", *platforms, "--platform=manylinux2014_x86_64"]
    found = subprocess.run(
        [*pip, *download, "--dest", str(folder), requirement], capture_output=True, check=False
    )
    if found.returncode == 0:
        return
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), requirement]
    subprocess.run([*pip, *build], check=True, env=os.environ | {"SAM2_BUILD_CUDA": "0"})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu.wheels")
    parser.add_argument("folder", type=Path, help="where the parcels go")
    parser.add_argument("--python", default="3.12", help="Python there; default 3.12")
    parser.add_argument(
        "--parcel-mib", type=int, default=64, help="size of a parcel, less what travels with it"
    )
    parser.add_argument("--there", nargs="*", default=[], help="more packages that are there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
