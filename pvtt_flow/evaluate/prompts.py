"""Prompts from the truth: each object by a mask, a box or a click on its first frame."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pvtt_flow.core import rle
from pvtt_flow.core.inner_pixel import most_inner_pixel
from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.truth import Mask, TrueSequence

PromptKind = Literal["mask", "box", "point"]


def manifest_rows(
    truth: Sequence[TrueSequence], kind: PromptKind, videos: Path | None
) -> Iterator[dict[str, Any]]:
    """Yield a row of a manifest for each sequence, which is named by its id.

    Its video is the file or folder of its name in `videos`, else the folder of its frames. Nothing
    else is tracked: detected products would have numbers of the truth's objects.
    """
    for sequence in truth:
        yield {
            "uri": _uri(_video(sequence, videos).resolve()),
            "id": sequence.name,
            "add_products": "never",
            "prompts": list(_prompts(sequence, kind)),
        }


def _uri(video: Path) -> str:
    """Return the uri of a video, which ends with a slash for a folder of frames."""
    return f"{video}/" if video.is_dir() else str(video)


def _video(sequence: TrueSequence, folder: Path | None) -> Path:
    if folder is None:
        if sequence.frames is None:
            raise ConfigError(
                f"{sequence.name} must have a video, but no pictures of its frames lie beside its "
                "masks; say with --videos where the videos are"
            )
        return sequence.frames
    if not folder.is_dir():
        raise ConfigError(f"--videos must be a folder of videos, got {folder}")
    found = [p for p in folder.iterdir() if sequence.name in (p.stem, p.name)]
    if len(found) != 1:
        raise ConfigError(
            f"--videos must have one file or folder {sequence.name} in {folder}, found {len(found)}"
        )
    return found[0]


def _prompts(sequence: TrueSequence, kind: PromptKind) -> Iterator[dict[str, Any]]:
    prompted: set[int] = set()
    for index in sequence.frame_indices:
        for number, mask in sequence.read(index).masks.items():
            if number not in prompted and mask.any():
                prompted.add(number)
                yield {"object_id": number, "frame": index, **_prompt(mask, kind)}


def _prompt(mask: Mask, kind: PromptKind) -> dict[str, Any]:
    if kind == "mask":
        return {"mask_rle": {"size": list(mask.shape), "counts": rle.encode(mask)}}
    if kind == "box":
        return {"box_xyxy": list(rle.box_of(mask) or ())}
    x, y = most_inner_pixel(mask)
    # Pixels are squares: a click is on the middle of one.
    return {"points_xy": [[x + 0.5, y + 0.5]], "point_labels": [1]}
