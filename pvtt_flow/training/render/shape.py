"""Product shapes: each function makes a random mesh about 1 in radius."""

from collections.abc import Callable

import numpy as np

from pvtt_flow.training.render.mesh import (
    Mesh,
    box,
    disc,
    grid,
    join,
    polyline,
    revolve,
    superellipsoid,
    sweep,
    translated,
    turned_to_viewer,
)

Rng = np.random.Generator
# Textures of a product: wrapping, lid or handle, trim.
NUM_PARTS = 3


def carton(rng: Rng) -> Mesh:
    """A box, now and then with plain sides."""
    size = rng.uniform(0.5, 1.7, 3)
    return box(size, parts=(2, 1, 0) if rng.random() < 0.3 else (0, 0, 0))


def can(rng: Rng) -> Mesh:
    """A tin with rims."""
    tall, wide = rng.uniform(0.45, 1.0), rng.uniform(0.35, 0.8)
    rim = 0.08 * tall
    body = revolve(polyline((wide, -tall + rim), (wide, tall - rim)))
    top = revolve(polyline((wide * 0.88, -tall), (wide, -tall + rim)), part=1)
    foot = revolve(polyline((wide, tall - rim), (wide * 0.88, tall)), part=1)
    return join(body, top, foot, disc(wide * 0.88, -tall, part=1), disc(wide * 0.88, tall, part=1))


def bottle(rng: Rng) -> Mesh:
    """A bottle: body, shoulder, neck, lid."""
    wide, neck = rng.uniform(0.28, 0.5), rng.uniform(0.1, 0.2)
    shoulder = rng.uniform(-0.55, 0.0)
    blend = np.linspace(0, 1, 6)
    ease = (1 - np.cos(np.pi * blend)) / 2
    curve = np.stack([wide + (neck - wide) * ease, shoulder - blend * 0.4], axis=1)
    body = revolve(polyline((wide * 0.95, 1.0), (wide, 0.93), (wide, shoulder)))
    lid_low = shoulder - 0.4 - rng.uniform(0.0, 0.15)
    throat = revolve(polyline((neck, shoulder - 0.4), (neck, lid_low)), part=2)
    lid_top = lid_low - rng.uniform(0.12, 0.35)
    lid = revolve(polyline((neck * 1.15, lid_low), (neck * 1.1, lid_top)), part=1)
    lid_disc = disc(neck * 1.1, lid_top, part=1)
    return join(body, revolve(curve, part=2), throat, lid, lid_disc, disc(wide * 0.95, 1.0))


def jar(rng: Rng) -> Mesh:
    """A jar with a wide lid."""
    wide, tall = rng.uniform(0.5, 0.85), rng.uniform(0.4, 0.8)
    lid_tall, lid_wide = rng.uniform(0.12, 0.35), wide * rng.uniform(0.75, 1.02)
    bulge = wide * rng.uniform(0.9, 1.1)
    body = revolve(polyline((wide * 0.9, tall), (bulge, 0), (wide * 0.95, -tall)))
    lid = revolve(polyline((lid_wide, -tall), (lid_wide, -tall - lid_tall)), part=1)
    lid_disc = disc(lid_wide, -tall - lid_tall, part=1)
    return join(body, disc(wide * 0.95, -tall), lid, lid_disc, disc(wide * 0.9, tall))


def mug(rng: Rng) -> Mesh:
    """A mug with a handle."""
    wide, tall = rng.uniform(0.5, 0.7), rng.uniform(0.5, 0.8)
    body = revolve(polyline((wide * rng.uniform(0.7, 1.0), tall), (wide, 0), (wide, -tall)))
    lining = disc(wide * 0.93, -tall + 0.01, part=2)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 9)
    reach, high = rng.uniform(0.3, 0.45), tall * rng.uniform(0.5, 0.7)
    handle = np.stack([wide - 0.05 + reach * np.cos(angle), high * np.sin(angle), 0 * angle], 1)
    grip = sweep(handle, rng.uniform(0.07, 0.13), part=1)
    return join(body, disc(wide, -tall), lining, disc(wide * 0.8, tall), grip)


def tube(rng: Rng) -> Mesh:
    """A cream tube: round at the lid, flat at the seam."""
    wide, tall = rng.uniform(0.3, 0.45), rng.uniform(0.7, 0.85)
    level = np.linspace(0, 1, 8)[:, None]
    angle = np.linspace(0, 2 * np.pi, 21)[None]
    x = wide * (1 + 0.25 * level) * np.cos(angle)
    z = wide * (1 - 0.95 * level) * np.sin(angle)
    y = np.broadcast_to(tall - 2 * tall * level, x.shape)
    body = grid(np.stack([x, y, z], -1), inside=np.zeros(3))
    lid_wide, lid_tall = wide * rng.uniform(0.6, 0.98), rng.uniform(0.15, 0.3)
    lid = revolve(polyline((lid_wide, tall + lid_tall), (lid_wide, tall)), part=1)
    return join(body, disc(wide, tall), lid, disc(lid_wide, tall + lid_tall, part=1))


def pouch(rng: Rng) -> Mesh:
    """A snack bag: puffed in the middle, flat at its sealed ends."""
    wide, tall, deep = rng.uniform(0.5, 0.8), rng.uniform(0.7, 1.0), rng.uniform(0.2, 0.4)
    level = np.linspace(-1, 1, 13)[:, None]
    angle = np.linspace(0, 2 * np.pi, 21)[None]
    puff = np.sqrt(np.maximum(1 - level**4, 0.0)) + 0.03
    ripple = 1 + rng.uniform(0, 0.06) * np.sin(9 * level)
    x = wide * ripple * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6
    z = deep * puff * np.sin(angle)
    y = np.broadcast_to(tall * level, x.shape)
    return grid(np.stack([np.broadcast_to(x, y.shape), y, z], -1), inside=np.zeros(3))


def slab(rng: Rng) -> Mesh:
    """A phone, tablet or book: a rounded plate with a screen."""
    half = np.array([rng.uniform(0.4, 0.7), 0.9, rng.uniform(0.05, 0.15)])
    body = superellipsoid(half, (0.15, 0.15), part=1, rows=10)
    screen = box(np.array([1.7, 1.75, 0.02]) * half, cells=3)
    back = rng.uniform(1, 1.1) * half[2]
    return join(body, translated(screen, np.array([0, 0, -back])))


def soap(rng: Rng) -> Mesh:
    """A bar of soap, a pebble, a rounded box."""
    half = rng.uniform(0.35, 0.95, 3)
    return superellipsoid(half, (rng.uniform(0.3, 1), rng.uniform(0.3, 1)))


def blob(rng: Rng) -> Mesh:
    """A toy or a stone: a ball with slow bumps."""
    ball = superellipsoid(rng.uniform(0.55, 0.9, 3), (1, 1), rows=14, columns=22)
    waves = rng.normal(0, 2.0, (4, 3))
    bump = np.sin(ball.points @ waves.T + rng.uniform(0, 6, 4)).sum(1, keepdims=True)
    points = (ball.points * (1 + 0.1 * bump)).reshape(15, 23, 3)
    return grid(points, inside=np.zeros(3))


def ring(rng: Rng) -> Mesh:
    """A bracelet, a tire, a roll of tape."""
    angle = np.linspace(0, 2 * np.pi, 25)
    curve = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1) * 0.7
    return sweep(curve, rng.uniform(0.12, 0.28))


def watch(rng: Rng) -> Mesh:
    """A watch: a strap and a case that faces the viewer."""
    angle = np.linspace(0, 2 * np.pi, 25)
    curve = np.stack([0 * angle, 0.85 * np.sin(angle), 0.6 * np.cos(angle) + 0.6], 1)
    strap = sweep(curve, rng.uniform(0.09, 0.15), part=1)
    radius = rng.uniform(0.35, 0.5)
    case = turned_to_viewer(closed_cylinder(radius, 0.12))
    return join(strap, case)


def headphones(rng: Rng) -> Mesh:
    """A band and two cups."""
    angle = np.linspace(np.pi, 2 * np.pi, 15)
    band = np.stack([0.75 * np.cos(angle), 0.85 * np.sin(angle) + 0.1, 0 * angle], 1)
    half = np.array([0.18, rng.uniform(0.3, 0.42), 0.32])
    cups = [
        translated(superellipsoid(half, (0.8, 0.8), rows=8, columns=12), np.array([side, 0.35, 0]))
        for side in (-0.75, 0.75)
    ]
    return join(sweep(band, rng.uniform(0.06, 0.1), part=1), *cups)


def camera(rng: Rng) -> Mesh:
    """A body and a lens."""
    size = np.array([1.6, 1.0, 0.5]) * rng.uniform(0.8, 1.1, 3)
    lens = translated(
        turned_to_viewer(closed_cylinder(rng.uniform(0.28, 0.42), 0.2)),
        np.array([rng.uniform(-0.2, 0.2), 0.05, -size[2] / 2]),
    )
    return join(box(size, parts=(1, 1, 0)), lens)


def vase(rng: Rng) -> Mesh:
    """A lamp, a vase, a perfume flask: any smooth profile."""
    y = np.linspace(1, -1, 14)
    waves = sum(rng.uniform(-0.2, 0.2) * np.cos(k * (y + 1) * np.pi / 2) for k in (1, 2, 3))
    radius = np.clip(0.45 + np.asarray(waves), 0.12, 0.9)
    side = revolve(np.stack([radius, y], axis=1))
    return join(side, disc(float(radius[-1]), -1, part=1), disc(float(radius[0]), 1, part=2))


def closed_cylinder(radius: float, half_tall: float) -> Mesh:
    """A closed cylinder with a face on top (part 0) and plain sides (part 1)."""
    side = revolve(polyline((radius, half_tall), (radius, -half_tall)), part=1)
    return join(side, disc(radius, -half_tall), disc(radius, half_tall, part=1))


SHAPES: tuple[Callable[[Rng], Mesh], ...] = (
    carton, carton, can, bottle, bottle, jar, mug, tube, pouch, slab, soap, blob, ring, watch,
    headphones, camera, vase,
)  # fmt: skip


def random_shape(rng: Rng) -> Mesh:
    """Make a product of random shape, scaled to radius 1."""
    mesh = SHAPES[int(rng.integers(len(SHAPES)))](rng)
    points = mesh.points - (mesh.points.max(0) + mesh.points.min(0)) / 2
    points /= np.linalg.norm(points, axis=1).max()
    return Mesh(points, mesh.normals, mesh.uv, mesh.quads, mesh.part)
