"""Profiles that the package ships, and those of users: load one by its name or its file."""

import difflib
from functools import cache
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import yaml

from pvtt_flow.config.loading import read_tree, validate
from pvtt_flow.core.profile import FrameCount, MaskRule, PictureSize, Profile
from pvtt_flow.errors import ConfigError

_ENDINGS = (".yaml", ".yml")


@cache
def shipped() -> tuple[Profile, ...]:
    """Return the shipped profiles, by name."""
    found = sorted(files(__name__).iterdir(), key=lambda file: file.name)
    trees: list[Any] = [
        yaml.safe_load(file.read_text()) for file in found if file.name.endswith(_ENDINGS)
    ]
    return tuple(validate(Profile, tree) for tree in trees)


def load_profile(name_or_path: str | PathLike[str]) -> Profile:
    """Load a shipped profile by its name, or the YAML file of your own.

    Raises ConfigError for an unknown name, and with a line for each bad value of a file.
    """
    text = fspath(name_or_path)
    if text.endswith(_ENDINGS):
        return _load_file(Path(text))
    by_name = {profile.name: profile for profile in shipped()}
    if text in by_name:
        return by_name[text]
    similar = difflib.get_close_matches(text, by_name, n=1)
    hint = f"; did you mean {similar[0]}?" if similar else ", or a file that ends with .yaml"
    raise ConfigError(f"profile must be one of {', '.join(by_name)}, got {text!r}{hint}")


def facts(profile: Profile) -> dict[str, str]:
    """Return what people compare profiles by, as short texts."""
    growth, files = profile.growth, profile.files
    own, theirs = growth.shape or "none", growth.consumer_growth
    file = files.mask or files.boxes or files.cutout_mask or ""
    return {
        "name": profile.name,
        "frames": _frames(profile.frames),
        "fps": "of the source" if profile.fps is None else f"{profile.fps:g}",
        "size": _size(profile.size),
        "mask": _mask(profile.mask) if files.mask or files.cutout_mask else "none",
        "grown by us": f"{own} {growth.radius_px} px" if growth.shape else own,
        "by itself": f"{theirs.shape} {theirs.radius_px:g} px" if theirs else "none",
        "file": file if isinstance(file, str) else file.name,
    }


def _mask(mask: MaskRule) -> str:
    below = {">": "<=", ">=": "<"}
    operator = mask.operator if mask.hole > mask.keep else below[mask.operator]
    return f"{mask.polarity}, hole {operator} {mask.cut}"


def _frames(frames: FrameCount) -> str:
    if frames.least == frames.most:
        return f"{frames.least}"
    kind = "" if frames.step == 1 else f"{frames.step}n+1, "
    return f"{kind}{frames.least} {'or more' if frames.most is None else f'to {frames.most}'}"


def _size(size: PictureSize) -> str:
    if size.width_px is not None:
        turned = ", either way up" if size.swap_for_portrait else ""
        return f"{size.width_px}x{size.height_px}, {size.fit}{turned}"
    side = "of the source" if size.max_side_px is None else f"at most {size.max_side_px}"
    return f"{side}, /{size.multiple}"


def _load_file(path: Path) -> Profile:
    tree = read_tree(path)
    try:
        return validate(Profile, tree)
    except ConfigError as error:
        lines = str(error).split("\n")
        raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from None
