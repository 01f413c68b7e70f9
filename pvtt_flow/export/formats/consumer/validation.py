"""Validate a finished bundle: decode its files as the consumer does, and compare them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.placement import Placement
from pvtt_flow.core.profile import BUNDLE, FileRule, Profile
from pvtt_flow.errors import ConfigError
from pvtt_flow.export.formats.consumer.containers import decoded
from pvtt_flow.storage.folder import sha256_of

# Pictures are rounded when they become YUV.
_GRAY_TOLERANCE = 2


def bundles_in(folder: Path) -> list[Path]:
    """Return the folder if it is a bundle, else the bundles in it.

    Raises ConfigError if there is none.
    """
    homes = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    found = [home for home in homes if (home / BUNDLE).is_file()]
    if not found:
        raise ConfigError(f"DIR must be a folder with a {BUNDLE} or with bundles, got {folder}")
    return found


def validate_bundle(folder: Path, profile: Profile) -> list[str]:
    """Return a sentence for each problem of a bundle; none if the consumer can read it.

    Files are decoded with OpenCV and NumPy. The picture's size is that of the bundle's placement,
    and must be one that the profile allows.
    """
    path = folder / BUNDLE
    if not path.is_file():
        return [f"{BUNDLE} must be in the folder, but is missing"]
    try:
        facts = _Facts.from_json(json.loads(path.read_text("utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        return [f"{BUNDLE} must be as `export` writes it, but cannot be read ({reason})"]
    problems = list(_files(folder, profile, facts))
    return problems or list(_contents(folder, profile, facts.placement))


@dataclass(frozen=True, slots=True)
class _Facts:
    """Facts of a bundle that are checked."""

    missing: frozenset[str]
    """Names of files that it does not have, and says why."""
    sha256: Mapping[str, str]
    """Checksums by file."""
    placement: Placement

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> "_Facts":
        """Raise KeyError, TypeError or ValueError for a tree of another form."""
        placement = Placement(**tree["placement"])
        return cls(frozenset(tree["missing"]), dict(tree["sha256"]), placement)


def _files(folder: Path, profile: Profile, facts: _Facts) -> Iterator[str]:
    wanted = {*profile.files.names} - facts.missing
    for name in sorted(wanted | facts.sha256.keys()):
        if not (folder / name).exists():
            yield f"{name} must be in the folder, but is missing"
    for name, checksum in facts.sha256.items():
        if (folder / name).is_file() and sha256_of(folder / name) != checksum:
            yield f"{name} must have the checksum in {BUNDLE}, but was changed"


def _contents(folder: Path, profile: Profile, placement: Placement) -> Iterator[str]:
    size = (placement.width_px, placement.height_px)
    yield from _size(profile, *size)
    video, mask = (
        rule if rule and (folder / rule.name).exists() else None
        for rule in (profile.files.video, profile.files.mask)
    )
    seen = _decode(folder, profile, video, mask)
    for rule, count, sizes in (
        (video, seen.num_pictures, seen.picture_sizes),
        (mask, seen.num_masks, seen.mask_sizes),
    ):
        if rule and profile.frames.longest(count) != count:
            yield f"{rule.name} must have {_allowed(profile)} frames, has {count}"
        if rule and sizes != {size}:
            got = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)) or "none"
            yield f"{rule.name} must have pictures of {size[0]}x{size[1]}, has {got}"
    if video and mask and seen.num_pictures != seen.num_masks:
        yield (
            f"{video.name} and {mask.name} must have equally many frames, have "
            f"{seen.num_pictures} and {seen.num_masks}"
        )
    yield from _rates(profile, seen.fps)
    yield from _levels(profile, mask, seen)


@dataclass(slots=True)
class _Seen:
    """Properties of the decoded files."""

    fps: dict[str, float]
    num_pictures: int = 0
    num_masks: int = 0
    picture_sizes: set[tuple[int, int]] = field(default_factory=set)
    mask_sizes: set[tuple[int, int]] = field(default_factory=set)
    levels: set[int] = field(default_factory=set)
    hole_levels: set[int] = field(default_factory=set)
    """Levels of the pictures in the hole, if they are compared."""


def _decode(folder: Path, profile: Profile, video: FileRule | None, mask: FileRule | None) -> _Seen:
    with ExitStack() as opened:
        files = {
            rule.name: opened.enter_context(decoded(folder / rule.name, rule))
            for rule in (video, mask)
            if rule
        }
        seen = _Seen({name: file.fps for name, file in files.items() if file.fps is not None})
        pictures, masks = (
            files[rule.name].pictures if rule else iter(()) for rule in (video, mask)
        )
        for picture, levels in zip_longest(pictures, masks):
            if picture is not None:
                seen.num_pictures += 1
                seen.picture_sizes.add((picture.shape[1], picture.shape[0]))
            if levels is not None:
                seen.num_masks += 1
                seen.mask_sizes.add((levels.shape[1], levels.shape[0]))
                seen.levels.update(np.unique(levels).tolist())
            if picture is not None and levels is not None and profile.hole_gray is not None:
                seen.hole_levels.update(_in_hole(profile, picture, levels))
    return seen


def _in_hole(profile: Profile, picture: NDArray[np.uint8], levels: NDArray[np.uint8]) -> list[int]:
    hole = profile.mask.is_hole(levels if levels.ndim == 2 else levels[..., 0])
    if hole.shape != picture.shape[:2]:
        return []
    return [int(level) for level in np.unique(picture[hole])]


def _size(profile: Profile, width_px: int, height_px: int) -> Iterator[str]:
    size = profile.size
    got = f"{width_px}x{height_px}"
    if size.fit != "fit" and size.width_px is not None and size.height_px is not None:
        allowed = {(size.width_px, size.height_px)}
        if size.swap_for_portrait:
            allowed.add((size.height_px, size.width_px))
        if (width_px, height_px) not in allowed:
            yield f"pictures must have {size.width_px}x{size.height_px}, have {got}"
    if width_px % size.multiple or height_px % size.multiple:
        yield f"pictures must have sides that are multiples of {size.multiple}, have {got}"
    if size.max_side_px is not None and max(width_px, height_px) > size.max_side_px:
        yield f"pictures must have sides of at most {size.max_side_px} px, have {got}"


def _rates(profile: Profile, fps: dict[str, float]) -> Iterator[str]:
    if len(set(fps.values())) > 1:
        rates = " and ".join(f"{name} {rate:.6g}" for name, rate in fps.items())
        yield f"video and mask must have exactly the same fps, have {rates}"
    for name, rate in fps.items():
        if profile.fps is not None and abs(rate - profile.fps) > 1e-3:
            yield f"{name} must have {profile.fps:g} fps, has {rate:.6g}"


def _levels(profile: Profile, mask: FileRule | None, seen: _Seen) -> Iterator[str]:
    rule = profile.mask
    allowed = {rule.hole, rule.keep, rule.overlap, rule.affected} - {None}
    if mask and (others := seen.levels - allowed):
        yield f"{mask.name} must have the levels {_listed(allowed)}, has {_listed(others)}"
    gray, video = profile.hole_gray, profile.files.video
    if gray is None or video is None or video.container == "x264":
        return
    if others := {level for level in seen.hole_levels if abs(level - gray) > _GRAY_TOLERANCE}:
        yield f"{video.name} must be {gray} in the hole, has {_listed(others)}"


def _allowed(profile: Profile) -> str:
    frames = profile.frames
    if frames.least == frames.most:
        return str(frames.least)
    kind = "" if frames.step == 1 else f"{frames.step}n+1 and "
    return f"{kind}at least {frames.least}" + (f" and at most {frames.most}" if frames.most else "")


def _listed(levels: set[int] | set[int | None]) -> str:
    return ", ".join(str(level) for level in sorted(level for level in levels if level is not None))
