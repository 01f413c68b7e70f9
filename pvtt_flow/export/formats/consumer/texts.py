"""Texts of a bundle: boxes, region, table and metadata as values for JSON and CSV."""

from fractions import Fraction
from typing import Any

from pvtt_flow.core.placed_pixels import inside
from pvtt_flow.export.cutout_pictures import Cutout
from pvtt_flow.export.formats.consumer.pictures_seen import Scene
from pvtt_flow.export.formats.consumer.take import Take


def boxes_of(take: Take) -> dict[str, Any]:
    """Return the boxes of `Take.boxes` on all frames; null where the product is absent."""
    width_px, height_px = take.size
    boxes = [take.boxes(position) for position in take.positions]
    tracks = {name: [there[name] for there in boxes] for name in boxes[0]}
    return {
        "width_px": width_px,
        "height_px": height_px,
        "fps": [take.fps.numerator, take.fps.denominator],
        "growth": take.profile.growth.model_dump(mode="json", exclude={"consumer_growth"}),
        "present": [box is not None for box in tracks["tight"]],
        "boxes_xyxy": tracks,
        "boxes_xyxy_fractions": {
            name: [_fractions(box, take.size) for box in track] for name, track in tracks.items()
        },
    }


def region_of(take: Take) -> dict[str, Any]:
    """Return the boxes on the first frame; null if the product is absent there."""
    width_px, height_px = take.size
    return {
        "width_px": width_px,
        "height_px": height_px,
        "boxes_xyxy": take.boxes(take.positions[0]),
    }


def _fractions(box: tuple[int, ...] | None, size: tuple[int, int]) -> list[float] | None:
    if box is None:
        return None
    return [round(edge / side, 6) for edge, side in zip(box, size * 2, strict=True)]


def table_row(take: Take, caption: str) -> dict[str, Any]:
    """Return VideoPainter's columns; `end_frame` is exclusive, as its code slices."""
    return {
        "path": take.profile.files.video.name if take.profile.files.video else "",
        "mask_id": take.profile.mask.hole,
        "start_frame": 0,
        "end_frame": len(take.positions),
        "fps": _number(take.fps),
        "caption": caption,
    }


def metadata_of(take: Take, cutout: Cutout | None, scene: Scene | None) -> dict[str, Any]:
    """Return FFGO's description of a sample, without the list of its files."""
    height_px, width_px = take.sequence.size
    area = inside(take.placement, width_px, height_px)
    left, top = max(0, area.left_px), max(0, area.top_px)
    right = max(0, take.placement.width_px - area.width_px - left)
    bottom = max(0, take.placement.height_px - area.height_px - top)
    prompt = take.masklet.prompts[0] if take.masklet.prompts else None
    area_px = None if cutout is None else take.masklet.frames[cutout.position].area_px
    return {
        "sample_id": take.name,
        "product_name": take.masklet.label,
        "video": {
            "resolution": list(take.size),
            "num_frames": len(take.positions),
            "fps": _number(take.fps),
            "original_resolution": [width_px, height_px],
            "scaled_resolution": [area.width_px, area.height_px],
            "has_padding": any((left, top, right, bottom)),
            "padding": {"left": left, "top": top, "right": right, "bottom": bottom},
        },
        "product_rgba": {
            "detection_prompt": None if prompt is None else prompt.label,
            "detection_confidence": None if prompt is None else prompt.score,
            "product_area_ratio": None if area_px is None else area_px / (width_px * height_px),
        },
        "background": scene and {"method": "telea", "filled_ratio": scene.filled_fraction},
    }


def _number(fps: Fraction) -> int | float:
    return fps.numerator if fps.denominator == 1 else float(fps)
