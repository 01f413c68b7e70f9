"""Contact sheet of a dataset: for each video a row of overlaid frames under its verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.core.timeline import NS_PER_S
from pvtt_flow.review.overlay import color_of, objects_on, overlay
from pvtt_flow.review.text import Color, write
from pvtt_flow.types import Frame, Masklet, VerdictName

# A tile fits into this size; six landscape tiles make a page as wide as a screen.
_TILE_WIDTH_PX, _TILE_HEIGHT_PX = 264, 220
_MIN_COLUMNS = 3
_MAX_CAPTIONS = 8
_MARGIN_PX = 28
_GAP_PX = 10
_LINE_PX = 24
_RULE_PX = 1

_PAPER: Color = (255, 255, 255)
_INK: Color = (28, 28, 30)
_FAINT_INK: Color = (120, 120, 126)
_RULE: Color = (222, 222, 226)
_VERDICT_INK: dict[VerdictName | None, Color] = {
    "accept": (22, 128, 61),
    "review": (180, 95, 6),
    "reject": (200, 30, 30),
    None: _FAINT_INK,
}

Rgb = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SheetRow:
    """Row of the sheet, which shows one video."""

    video_id: str
    frames: tuple[Frame, ...] = ()
    """Frames in time order, chosen with `evenly_spaced`; empty if none could be read."""
    masklets: tuple[Masklet, ...] = ()
    note: str = ""
    """Text after the video's name: its status, or the reason of its failure."""


def evenly_spaced(frames: Sequence[T], num_frames: int) -> tuple[T, ...]:
    """Return at most `num_frames` of the items, evenly spaced, with the first and the last one.

    Example: three of (0, 2, 4, 6, 8) are (0, 4, 8).
    """
    if not frames or num_frames < 1:
        return ()
    places = np.linspace(0, len(frames) - 1, min(num_frames, len(frames)))
    return tuple(frames[round(place)] for place in places)


def contact_sheet(title: str, rows: Sequence[SheetRow]) -> Rgb:
    """Draw the page, uint8 (H, W, 3) RGB.

    Raises ValueError for a mask of another size than its frame.
    """
    columns = max([_MIN_COLUMNS, *(len(row.frames) for row in rows)])
    width_px = columns * (_TILE_WIDTH_PX + _GAP_PX) - _GAP_PX
    head = _blank(2 * _LINE_PX, width_px)
    write(head, title, (0, _LINE_PX), color=_INK, size=0.8, weight="bold")
    page = np.vstack([head, *(_row(row, width_px) for row in rows)])
    margins = ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0))
    return np.pad(page, margins, constant_values=_PAPER[0])


def encode_image(rgb: Rgb, suffix: Literal[".png", ".jpg"], *, quality: int = 95) -> bytes:
    """Encode a picture as the bytes of a PNG or JPEG file; `quality` is that of a JPEG."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    _, data = cv2.imencode(suffix, bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def _row(row: SheetRow, width_px: int) -> Rgb:
    """Draw a video: a line, its name and note, a caption for each object, its tiles."""
    rule = _blank(_GAP_PX + _RULE_PX, width_px)
    rule[:_RULE_PX] = _RULE
    name = _blank(_LINE_PX, width_px)
    end_px = write(name, row.video_id, (0, _LINE_PX - 7), color=_INK, weight="bold", size=0.55)
    write(name, row.note, (end_px + 14, _LINE_PX - 7), color=_FAINT_INK)
    has_shots = len({masklet.shot_index for masklet in row.masklets}) > 1
    captions = [
        _caption(masklet, width_px, has_shots=has_shots) for masklet in row.masklets[:_MAX_CAPTIONS]
    ]
    hidden = len(row.masklets) - _MAX_CAPTIONS
    if hidden > 0:
        more = _blank(_LINE_PX, width_px)
        write(more, f"and {hidden} more", (22, _LINE_PX - 7), color=_FAINT_INK)
        captions.append(more)
    tiles = [_tile(frame, row.masklets) for frame in row.frames]
    space = _blank(_GAP_PX // 2, width_px)
    return np.vstack([rule, name, *captions, space, _side_by_side(tiles, width_px)])


def _caption(masklet: Masklet, width_px: int, *, has_shots: bool) -> Rgb:
    """Draw an object's color, label, shot of several, verdict, its probability and its reasons."""
    line = _blank(_LINE_PX, width_px)
    baseline_px = _LINE_PX - 7
    dot_xy, dot_radius_px = (8, baseline_px - 5), 6
    cv2.circle(line, dot_xy, dot_radius_px, color_of(masklet.object_id), cv2.FILLED, cv2.LINE_AA)
    name = f"{masklet.object_id} {masklet.label}"
    if has_shots:
        name += f" in shot {masklet.shot_index} (frame {masklet.start_frame} on)"
    x = write(line, name, (22, baseline_px), color=_INK)
    verdict, ink = masklet.verdict or "not judged", _VERDICT_INK[masklet.verdict]
    p = masklet.good_probability
    judged = verdict if p is None else f"{verdict} {p:.2f}"
    x = write(line, judged, (x + 14, baseline_px), color=ink, weight="bold")
    write(line, ", ".join(masklet.reasons), (x + 14, baseline_px), color=_FAINT_INK)
    return line


def _tile(frame: Frame, masklets: Sequence[Masklet]) -> Rgb:
    """Draw a frame with its overlay, and its index and time below."""
    height_px, width_px = frame.rgb.shape[:2]
    scale = min(_TILE_WIDTH_PX / width_px, _TILE_HEIGHT_PX / height_px)
    objects = objects_on(masklets, frame.frame_index)
    picture = overlay(frame.rgb, objects, scale=scale, with_labels=False)
    foot = _blank(_LINE_PX, picture.shape[1])
    when = f"frame {frame.frame_index}, {frame.pts_ns / NS_PER_S:.2f} s"
    write(foot, when, (0, 16), color=_FAINT_INK, size=0.4)
    return np.vstack([picture, foot])


def _side_by_side(tiles: Sequence[Rgb], width_px: int) -> Rgb:
    shelf = _blank(max((tile.shape[0] for tile in tiles), default=0) + _GAP_PX, width_px)
    x = 0
    for tile in tiles:
        shelf[: tile.shape[0], x : x + tile.shape[1]] = tile
        x += tile.shape[1] + _GAP_PX
    return shelf


def _blank(height_px: int, width_px: int) -> Rgb:
    return np.full((height_px, width_px, 3), _PAPER, np.uint8)
