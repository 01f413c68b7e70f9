"""Sample clips that ship: small H.264 videos of products that no model was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pvtt_flow.training.corpus import library_of
from pvtt_flow.training.credits import FILE, write_credits
from pvtt_flow.training.render.clip import paste
from pvtt_flow.training.render.library import Library
from pvtt_flow.training.render.mesh import Array
from pvtt_flow.training.render.occluder import Hand, draw_hand
from pvtt_flow.training.render.stage import Stage
from pvtt_flow.training.render.texture import Image

FOLDER = Path(__file__).parents[1] / "samples"
# Not in the folder, in which a run would name it as a file that is no video.
CREDITS = FOLDER.parent / FILE
WIDTH_PX, HEIGHT_PX = 480, 270
FPS = 24
_USE = "The sample videos show these meshes, placed, turned and lit anew."
_HAND = Hand((224, 172, 138), (52, 74, 110), arm_angle=0.25, curl=np.full(5, 0.35), mirror=1)
_PALM_PX = 30.0


@dataclass(frozen=True)
class SampleSpec:
    """Content of a sample clip."""

    stage: Stage
    num_frames: int = 72
    hand: bool = False
    """True if a hand reaches in front of the product in the middle of the clip."""
    written_share: float = 1.0
    """Share of the file's bytes that is written; below 1 the file is truncated."""


SAMPLES = {
    "one_product": SampleSpec(Stage(("radio",), "apartment", surface=5)),
    "two_products": SampleSpec(Stage(("wine_bottle", "old_jar"), "hall", surface=14)),
    "occluding_hand": SampleSpec(Stage(("kitchenScale",), "apartment", surface=4), hand=True),
    "leaves_and_returns": SampleSpec(
        Stage(("plasticCup",), "apartment", surface=7, leaves=True), num_frames=96
    ),
    "no_product": SampleSpec(Stage((), "hall", surface=2), num_frames=48),
    "truncated": SampleSpec(
        Stage(("beer_bottle",), "hall", surface=11), num_frames=48, written_share=0.6
    ),
}


@dataclass(frozen=True)
class _Job:
    name: str
    assets: Path


def write_samples(assets: Path, *, processes: int) -> Iterator[Path]:
    """Render and write every sample and its credits; yield the path of each finished file."""
    shown = {name for spec in SAMPLES.values() for name in spec.stage.meshes}
    meshes = library_of(assets, "held_out").meshes
    write_credits(CREDITS, _USE, (mesh for mesh in meshes if mesh.short_name in shown))
    jobs = [_Job(name, assets) for name in SAMPLES]
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_write, jobs)


def _write(job: _Job) -> Path:
    spec, path = SAMPLES[job.name], FOLDER / f"{job.name}.mp4"
    write_h264(render_sample(spec, library_of(job.assets, "held_out")), path)
    if spec.written_share < 1:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * spec.written_share)])
    return path


def render_sample(spec: SampleSpec, library: Library) -> NDArray[np.uint8]:
    """Render the frames of a sample, uint8 (T, H, W, 3) RGB."""
    # A large library that only this needs.
    try:
        from pvtt_flow.training.render.staged import shoot
    except ImportError as error:
        raise ImportError(f"samples need the extra `train` of Python 3.11: {error}") from error
    frames = shoot(spec.stage, library, spec.num_frames, (WIDTH_PX, HEIGHT_PX))
    return np.stack(list(_with_hand(frames, spec.num_frames) if spec.hand else frames))


def _with_hand(frames: Iterator[Image], num_frames: int) -> Iterator[Image]:
    """Draw a hand that reaches in from the right, half over the product, and withdraws."""
    for frame, center in zip(frames, _reach(num_frames), strict=True):
        picture = np.array(frame, order="C")
        sprite = draw_hand(_HAND, center, _PALM_PX, HEIGHT_PX, WIDTH_PX)
        paste(picture, np.zeros(picture.shape[:2], np.uint8), sprite, 0)
        yield picture


def _reach(num_frames: int) -> Array:
    """Return the hand's places (T, 2) in pixels: outside, over the middle, outside."""
    reach = np.clip(2.2 * np.sin(np.linspace(0, np.pi, num_frames)) - 1.1, 0, 1)
    x = WIDTH_PX * (1.2 - 0.62 * reach)
    return np.stack([x, np.full(num_frames, 0.55 * HEIGHT_PX)], axis=1)


def write_h264(frames: NDArray[np.uint8], path: Path) -> None:
    """Write frames (T, H, W, 3) as H.264 with the index in front: a truncated file still opens.

    `video.encode.write_mp4` would declare BT.709 and set keyframes further apart; the shipped
    samples declare no colors, as many videos, and have a keyframe every second.
    """
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": "24", "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
