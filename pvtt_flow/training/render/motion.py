"""Smooth trajectories: position, size and rotation of an object at every frame.

Positions are in frame units (x in widths, y in heights), sizes in shorter sides.
"""

from dataclasses import dataclass

import numpy as np

from pvtt_flow.training.render.mesh import Array

Rng = np.random.Generator


@dataclass(frozen=True)
class Trajectory:
    """Positions, sizes and rotations at T frames."""

    center: Array
    """(T, 2), frame units; outside [0, 1] is outside the frame."""
    radius: Array
    """(T,), in shorter sides of the frame."""
    rotation: Array
    """(T, 3, 3)."""


def wander(rng: Rng, ticks: Array, speed: float) -> Array:
    """Return a smooth random walk (T,) that starts at 0 and moves about `speed` a tick."""
    drift = rng.normal(0, 0.7) * ticks
    period = rng.uniform(14, 50)
    phase = rng.uniform(0, 2 * np.pi)
    sway = (np.sin(2 * np.pi * ticks / period + phase) - np.sin(phase)) * period / 8
    return np.asarray(speed * (drift * 0.6 + sway * rng.uniform(0, 1.2)))


def euler(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Return rotations (T, 3, 3) from angles in radians: yaw, then pitch, then roll."""
    zeros, ones = np.zeros_like(yaw), np.ones_like(yaw)

    def stack(*rows: Array) -> Array:
        return np.stack(rows, axis=-1).reshape(-1, 3, 3)

    about_y = stack(
        np.cos(yaw), zeros, np.sin(yaw), zeros, ones, zeros, -np.sin(yaw), zeros, np.cos(yaw)
    )
    about_x = stack(
        ones,
        zeros,
        zeros,
        zeros,
        np.cos(pitch),
        -np.sin(pitch),
        zeros,
        np.sin(pitch),
        np.cos(pitch),
    )
    about_z = stack(
        np.cos(roll), -np.sin(roll), zeros, np.sin(roll), np.cos(roll), zeros, zeros, zeros, ones
    )
    return about_z @ about_x @ about_y


def random_trajectory(
    rng: Rng, ticks: Array, start: Array, radius: float, *, energy: float
) -> Trajectory:
    """Return a product's trajectory from `start` (2,); energy 0 is no motion, 1 is lively."""
    speed = energy * rng.uniform(0, 0.016)
    shift = np.stack([wander(rng, ticks, speed), wander(rng, ticks, speed * 0.6)], axis=1)
    center = start + shift
    # Most products stay in view: what would leave is turned back at the margin.
    center = 0.5 + 0.5 * np.tanh((center - 0.5) / 0.5 * 1.1) / np.tanh(1.1) * 0.98
    scale = np.exp(np.clip(wander(rng, ticks, energy * rng.uniform(0, 0.012)), -0.6, 0.6))
    upright = rng.random() < 0.6
    spin = energy * rng.choice([0, rng.normal(0, 0.03), rng.normal(0, 0.09)])
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.5)
    pitch = rng.normal(0.3, 0.15) if upright else rng.uniform(-1.2, 1.2)
    roll = rng.normal(0, 0.1) if upright else rng.uniform(-np.pi, np.pi)
    wobble = energy * (0.004 if upright else 0.02)
    rotation = euler(
        yaw + spin * ticks,
        pitch + wander(rng, ticks, wobble),
        roll + wander(rng, ticks, wobble),
    )
    return Trajectory(center, radius * scale, rotation)


def leave_and_return(rng: Rng, trajectory: Trajectory) -> Trajectory:
    """Return the trajectory changed to leave the frame for part of the clip and come back."""
    num_frames = len(trajectory.radius)
    progress = np.linspace(0, 1, num_frames)
    leave, back = rng.uniform(0.15, 0.4), rng.uniform(0.55, 0.9)
    edge = rng.uniform(0.08, 0.2)
    outside = np.clip((progress - leave) / edge, 0, 1) * np.clip((back - progress) / edge, 0, 1)
    outside = outside * outside * (3 - 2 * outside)
    side = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])[int(rng.integers(4))]
    reach = 0.55 + 2.2 * trajectory.radius.max() + np.abs(trajectory.center - 0.5).max()
    return Trajectory(
        trajectory.center + outside[:, None] * side * reach, trajectory.radius, trajectory.rotation
    )
