"""Occluders of products that are no products: hands with arms, panels, leaves, cloth."""

from dataclasses import dataclass

import cv2
import numpy as np

from pvtt_flow.training.render.background import random_surface
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.raster import Sprite
from pvtt_flow.training.render.texture import Image, Rng, random_color

SKINS = (
    (236, 196, 170),
    (224, 172, 138),
    (198, 140, 104),
    (160, 106, 74),
    (110, 70, 48),
    (74, 46, 32),
)
SUPERSAMPLE = 2


@dataclass(frozen=True)
class Hand:
    """A right or left hand whose arm comes from beyond the frame's border."""

    skin: tuple[int, int, int]
    sleeve: tuple[int, int, int] | None
    arm_angle: float
    """Radians, the direction from the palm to the elbow in the picture."""
    curl: Array
    """(5,), bend of each finger, radians at each of two joints."""
    mirror: int
    """1 or -1."""


def random_hand(rng: Rng) -> Hand:
    """Choose a hand."""
    skin = np.array(SKINS[int(rng.integers(len(SKINS)))]) + rng.normal(0, 8, 3)
    red, green, blue = np.clip(skin, 20, 245).astype(int).tolist()
    return Hand(
        (red, green, blue),
        random_color(rng) if rng.random() < 0.6 else None,
        rng.uniform(0, 2 * np.pi),
        rng.uniform(0.05, 0.7) + rng.normal(0, 0.08, 5),
        int(rng.choice([-1, 1])),
    )


def draw_hand(
    hand: Hand, center_px: Array, palm_px: float, height_px: int, width_px: int,
    *, arm: bool = True, fingers: bool = True,
) -> Sprite:  # fmt: skip
    """Draw the hand, its palm (radius palm_px) at center_px, on a sprite of the frame's size."""
    scale = SUPERSAMPLE
    size = (height_px * scale, width_px * scale)
    rgb, alpha = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    center, palm = np.asarray(center_px) * scale, palm_px * scale
    strokes = _strokes(hand, center, palm, arm=arm, fingers=fingers)
    # Each limb again narrower and lighter: round, as if lit from the front.
    for tint, points, width in strokes:
        for share, light in ((1.0, 0.72), (0.8, 0.88), (0.5, 1.0)):
            shade = (np.array(tint) * light).tolist()
            for image, value in ((rgb, shade), (alpha, 255)):
                thick = max(1, min(32767, int(width * share)))
                cv2.polylines(image, [points], False, value, thick, cv2.LINE_AA)  # noqa: FBT003
    soft = cv2.GaussianBlur(rgb, (0, 0), 0.05 * palm + 0.3)
    return _downsampled(soft, alpha, width_px, height_px)


def _strokes(
    hand: Hand, center: Array, palm: float, *, arm: bool, fingers: bool
) -> list[tuple[tuple[int, int, int], Array, float]]:
    """Color, polyline (int32 (K, 2)) and width of each limb, back to front."""
    arm_direction = np.array([np.cos(hand.arm_angle), np.sin(hand.arm_angle)])
    limbs: list[tuple[tuple[int, int, int], Array, float]] = []

    def add(tint: tuple[int, int, int], points: list[Array], width: float) -> None:
        limbs.append((tint, np.clip(np.array(points), -9000, 9000).astype(np.int32), width))

    if arm:
        add(
            hand.skin,
            [center + arm_direction * palm * 0.5, center + arm_direction * palm * 40],
            palm * 1.25,
        )
        if hand.sleeve is not None:
            add(
                hand.sleeve,
                [center + arm_direction * palm * 3, center + arm_direction * palm * 40],
                palm * 1.8,
            )
    if arm or not fingers:
        add(
            hand.skin,
            [center - arm_direction * palm * 0.2, center + arm_direction * palm * 0.5],
            palm * 1.75,
        )
    if fingers:
        for index, spread in enumerate((-0.45, -0.15, 0.15, 0.45, 1.15)):
            thumb = index == 4
            turn = hand.arm_angle + np.pi + hand.mirror * spread
            root = center + palm * (0.45 if thumb else 0.8) * _unit(turn)
            points = [root]
            for bone in (0.75, 0.6) if thumb else (0.8, 0.6, 0.45):
                points.append(points[-1] + palm * bone * _unit(turn))
                turn -= hand.mirror * float(hand.curl[index]) * np.sign(spread)
            add(hand.skin, points, palm * (0.5 if thumb else 0.42))
    return limbs


def _unit(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)])


def _downsampled(rgb: Image, alpha: Image, width_px: int, height_px: int) -> Sprite:
    small = cv2.resize(rgb, (width_px, height_px), interpolation=cv2.INTER_AREA)
    area = cv2.resize(alpha, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return Sprite(small, area.astype(np.float32) / 255, 0, 0)


@dataclass(frozen=True)
class Cutout:
    """Flat textured object: a panel, a leaf, a rag."""

    rgb: Image
    outline: Array
    """(K, 2), its polygon in units of its radius."""


def random_cutout(rng: Rng, side_px: int = 64) -> Cutout:
    """Choose a blot, leaf or bar."""
    kind = rng.random()
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    if kind < 0.35:
        reach = 1 + 0.35 * np.sin(angle * rng.integers(2, 5) + rng.uniform(0, 6))
        outline = np.stack([np.cos(angle), np.sin(angle)], 1) * (reach / 1.35)[:, None]
    elif kind < 0.65:
        slim = rng.uniform(0.15, 0.4)
        outline = np.stack([np.cos(angle), slim * np.sin(angle) * np.abs(np.sin(angle))], 1)
    else:
        wide = rng.uniform(0.08, 0.7)
        outline = np.array([[-1, -wide], [1, -wide], [1, wide], [-1, wide]])
    return Cutout(random_surface(rng, side_px, side_px), outline)


def draw_cutout(
    cutout: Cutout, center_px: Array, radius_px: float, angle: float, height_px: int, width_px: int
) -> Sprite:
    """Draw the cutout turned by angle (radians) on a sprite of the frame's size."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = np.asarray(center_px) + radius_px * cutout.outline @ turn.T
    alpha = np.zeros((height_px, width_px), np.uint8)
    points = np.round(np.clip(outline, -8000, 8000) * 16).astype(np.int32)
    cv2.fillPoly(alpha, [points], 255, cv2.LINE_AA, 4)
    half = len(cutout.rgb) / 2
    linear = turn * radius_px / half
    matrix = np.hstack([linear, (np.asarray(center_px) - linear @ [half, half])[:, None]])
    rgb = cv2.warpAffine(
        cutout.rgb,
        matrix,
        (width_px, height_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return Sprite(rgb, alpha.astype(np.float32) / 255, 0, 0)
