"""Sample clips that ship: small H.264 videos of rendered products, not used in training."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pvtt_flow.training.corpus import SEEDS
from pvtt_flow.training.render.clip import RenderedClip, draw_scene
from pvtt_flow.training.render.scene import Event, random_scene

FOLDER = Path(__file__).parents[1] / "samples"
WIDTH_PX, HEIGHT_PX = 480, 270
FPS = 24
TEXTURE_PX = 256


@dataclass(frozen=True)
class SampleSpec:
    """Content of a sample clip; `offset` selects a seed that looks good."""

    offset: int
    num_products: int
    event: Event
    num_frames: int = 72
    written_share: float = 1.0
    """Share of the file's bytes that is written; below 1 the file is truncated."""


SAMPLES = {
    "one_product": SampleSpec(2, 1, "none"),
    "two_products": SampleSpec(5, 2, "none"),
    "occluding_hand": SampleSpec(3, 1, "hold"),
    "leaves_and_returns": SampleSpec(5, 1, "leave", num_frames=96),
    "no_product": SampleSpec(4, 0, "none", num_frames=48),
    "truncated": SampleSpec(8, 1, "none", written_share=0.6),
}


def render_sample(spec: SampleSpec) -> RenderedClip:
    """Render the clip of a sample at its full size."""
    rng = np.random.default_rng(SEEDS["samples"] + spec.offset)
    scene = random_scene(
        rng, spec.num_frames, HEIGHT_PX, WIDTH_PX, num_products=spec.num_products,
        event=spec.event, texture_px=TEXTURE_PX,
    )  # fmt: skip
    return draw_scene(rng, scene)


def write_h264(clip: RenderedClip, path: Path) -> None:
    """Write the frames as H.264 with the index in front: a truncated file still opens.

    `video.encode.write_mp4` would declare BT.709 and set keyframes further apart; the shipped
    samples declare no colors, as many videos, and have a keyframe every second.
    """
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = clip.frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": "24", "threads": "1"}
        for frame in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_samples(folder: Path = FOLDER) -> Iterator[Path]:
    """Render and write every sample; yield the path of each finished file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in SAMPLES.items():
        path = folder / f"{name}.mp4"
        write_h264(render_sample(spec), path)
        if spec.written_share < 1:
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * spec.written_share)])
        yield path
