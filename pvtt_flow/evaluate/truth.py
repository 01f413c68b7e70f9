"""Annotated sequences in a folder: DAVIS, YouTube-VOS, MOSE, SA-V, or frames beside masks.

    DAVIS              Annotations/480p/<sequence>/00000.png         numbers of objects
    YouTube-VOS, MOSE  Annotations/<sequence>/00000.png              numbers of objects
    SA-V               Annotations_6fps/<sequence>/000/00000.png     one object a folder
    frames and masks   <sequence>/masks/00000.png                    numbers of objects

Pictures of the frames, in JPEGImages, JPEGImages_24fps or <sequence>/frames, tell which frame of
the video a picture is of: the one with its name, by its place among them. Without them, its name
must be the number of the frame, from 0.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pvtt_flow.errors import ConfigError

Mask = NDArray[np.bool_]

_ANNOTATIONS = ("Annotations", "Annotations_6fps")
_PICTURES = {"Annotations": "JPEGImages", "Annotations_6fps": "JPEGImages_24fps"}
_RESOLUTIONS = ("480p", "Full-Resolution")
_FRAME_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Folders of frames are in the order of it: 9 comes before 10.
_LAST_NUMBER = re.compile(r"[0-9]+$")
# DAVIS 2017 leaves out pixels of this number; it is white, the object, in DAVIS 2016.
_WHITE = 255


@dataclass(frozen=True)
class TrueFrame:
    """True masks on one frame."""

    size_px: tuple[int, int]
    """Height and width."""
    masks: Mapping[int, Mask]
    """bool (H, W) of each object that the annotation names; it may be empty."""

    def of(self, object_id: int) -> Mask:
        """Return the mask of an object, empty if the frame does not name it."""
        mask = self.masks.get(object_id)
        return np.zeros(self.size_px, np.bool_) if mask is None else mask


@dataclass(frozen=True)
class TrueSequence:
    """Annotated frames of a video."""

    name: str
    pictures: Mapping[int, Mapping[int | None, Path]]
    """By frame of the video: pictures by object, or under None one with the numbers of all."""
    frames: Path | None = None
    """Folder of the pictures of all frames, if there is one."""

    @property
    def is_by_object(self) -> bool:
        """Return whether each object has pictures of its own, as in SA-V."""
        return None not in next(iter(self.pictures.values()))

    @property
    def frame_indices(self) -> tuple[int, ...]:
        """Return the annotated frames, in the order of time."""
        return tuple(sorted(self.pictures))

    def read(self, frame_index: int) -> TrueFrame:
        """Read the masks of an annotated frame.

        Raises ConfigError for a picture that cannot be read, has colors instead of numbers, or has
        another size than the others of the frame.
        """
        masks: dict[int, Mask] = {}
        sizes_px: set[tuple[int, int]] = set()
        for object_id, path in self.pictures[frame_index].items():
            labels = _read(path)
            sizes_px.add((labels.shape[0], labels.shape[1]))
            if len(sizes_px) > 1:
                raise ConfigError(f"{path} must have the size of its frame's other pictures")
            masks |= self._split(labels) if object_id is None else {object_id: labels > 0}
        return TrueFrame(sizes_px.pop(), masks)

    def _split(self, labels: NDArray[np.uint8]) -> dict[int, Mask]:
        """Return the mask of each object of a picture of numbers."""
        numbers = _numbers(labels)
        if not self._white_is_an_object:
            numbers = [number for number in numbers if number != _WHITE]
        return {number: labels == number for number in numbers}

    @cached_property
    def _white_is_an_object(self) -> bool:
        """Return whether the first picture with a number has no other."""
        pictures = (self.pictures[index][None] for index in self.frame_indices)
        return next(filter(None, (_numbers(_read(path)) for path in pictures)), []) == [_WHITE]


def _numbers(labels: NDArray[np.uint8]) -> list[int]:
    """Return the numbers of a picture, without the background's."""
    return [int(number) for number in np.unique(labels) if number]


def _read(path: Path) -> NDArray[np.uint8]:
    """Read uint8 (H, W) numbers; a palette's colors are no numbers."""
    try:
        with Image.open(path) as picture:
            picture.load()
            bands = picture.getbands()
            pixels = np.asarray(picture)
    # Where ultralytics was imported, PIL asks for a library of HEIF for what it does not know.
    except (OSError, ValueError, ImportError, Image.DecompressionBombError) as error:
        raise ConfigError(
            f"{path} must be a picture of masks, but cannot be read: {error}"
        ) from error
    if len(bands) != 1 or pixels.dtype not in (np.uint8, np.bool_):
        raise ConfigError(
            f"{path} must have one number of 8 bits a pixel, by a palette or in gray, got the "
            f"channels {''.join(bands)} of {pixels.dtype}; convert it to a palette PNG"
        )
    return pixels.astype(np.uint8)


def read_truth(folder: Path, names: Sequence[str] | None = None) -> list[TrueSequence]:
    """Return the sequences of a folder, or those of these names.

    Raises ConfigError for a folder without sequences, or one in which a name is missing.
    """
    if not folder.is_dir():
        raise ConfigError(f"--truth must be a folder of annotated sequences, got {folder}")
    found = {sequence.name: sequence for sequence in _sequences(folder)}
    if not found:
        raise ConfigError(
            f"--truth must be a folder of DAVIS, YouTube-VOS, MOSE or SA-V, or of "
            f"<sequence>/masks/*.png, but no mask was found in {folder}"
        )
    missing = [name for name in names or () if name not in found]
    if missing:
        raise ConfigError(f"--sequences must be in {folder}, but {_listed(missing)} not there")
    return [found[name] for name in names or sorted(found)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"


def _sequences(folder: Path) -> Iterator[TrueSequence]:
    masks, pictures = _roots(folder)
    for home in sorted(path for path in masks.iterdir() if path.is_dir()):
        by_object = _files(home)
        frames = None if pictures is None else pictures / home.name
        if not by_object and (home / "masks").is_dir():
            by_object, frames = _files(home / "masks"), home / "frames"
        if by_object:
            frames = frames if frames is not None and frames.is_dir() else None
            yield TrueSequence(home.name, _by_frame(by_object, frames), frames)


def _roots(folder: Path) -> tuple[Path, Path | None]:
    """Return the folder of the sequences' masks, and that of their frames if it is known."""
    for name in _ANNOTATIONS:
        if (folder / name).is_dir():
            folder = folder / name
    pictures = None
    if folder.name in _PICTURES:
        pictures = folder.parent / _PICTURES[folder.name]
        for resolution in _RESOLUTIONS:
            if (folder / resolution).is_dir():
                return folder / resolution, pictures / resolution
    elif folder.parent.name in _PICTURES:
        pictures = folder.parents[1] / _PICTURES[folder.parent.name] / folder.name
    return folder, pictures


def _files(home: Path) -> dict[int | None, list[Path]]:
    """Return the PNGs of a sequence: of all objects, or by object where each has a folder."""
    if files := sorted(home.glob("*.png")):
        return {None: files}
    folders = [path for path in home.iterdir() if path.is_dir() and path.name.isdecimal()]
    found = {int(path.name): sorted(path.glob("*.png")) for path in sorted(folders)}
    return {object_id: files for object_id, files in found.items() if files}


def _by_frame(
    by_object: Mapping[int | None, Sequence[Path]], frames: Path | None
) -> dict[int, dict[int | None, Path]]:
    places = _places(frames)
    by_frame: dict[int, dict[int | None, Path]] = {}
    for object_id, files in by_object.items():
        for path in files:
            by_frame.setdefault(_frame_of(path, places), {})[object_id] = path
    return by_frame


def _places(frames: Path | None) -> dict[str, int]:
    """Return the place of each frame's picture, by its name."""
    if frames is None:
        return {}
    names = [p.stem for p in frames.iterdir() if p.suffix.lower() in _FRAME_SUFFIXES]
    numbers = {name: int(found[0]) for name in names if (found := _LAST_NUMBER.search(name))}
    return {name: place for place, name in enumerate(sorted(numbers, key=numbers.__getitem__))}


def _frame_of(path: Path, places: Mapping[str, int]) -> int:
    if places:
        if path.stem not in places:
            raise ConfigError(
                f"{path} must be named as the picture of its frame, but none is named {path.stem}"
            )
        return places[path.stem]
    if not path.stem.isdecimal():
        raise ConfigError(
            f"{path} must be named by the number of its frame, as 00000.png, or lie beside "
            "pictures of the frames"
        )
    return int(path.stem)
