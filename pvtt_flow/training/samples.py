"""The sample clips that ship: small H.264 videos of rendered products, none trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pvtt_flow.training.corpus import SEEDS
from pvtt_flow.training.render.clip import Clip, draw
from pvtt_flow.training.render.scene import Event, scene

FOLDER = Path(__file__).parents[1] / "samples"
WIDTH_PX, HEIGHT_PX = 480, 270
FPS = 24
TEXTURE_PX = 256


@dataclass(frozen=True)
class Sample:
    """Content of a sample; `offset` selects a seed that looks good."""

    offset: int
    num_products: int
    event: Event
    num_frames: int = 72
    kept: float = 1.0
    """The share of the file's bytes that is written: below 1 the file is cut."""


SAMPLES = {
    "one_product": Sample(2, 1, "none"),
    "two_products": Sample(5, 2, "none"),
    "occluding_hand": Sample(3, 1, "hold"),
    "leaves_and_returns": Sample(5, 1, "leave", num_frames=96),
    "no_product": Sample(4, 0, "none", num_frames=48),
    "truncated": Sample(8, 1, "none", kept=0.6),
}


def render_sample(this: Sample) -> Clip:
    """The clip of a sample at its full size."""
    rng = np.random.default_rng(SEEDS["samples"] + this.offset)
    setting = scene(
        rng, this.num_frames, HEIGHT_PX, WIDTH_PX, num_products=this.num_products,
        event=this.event, texture_px=TEXTURE_PX,
    )  # fmt: skip
    return draw(rng, setting)


def encode(clip: Clip, path: Path) -> None:
    """Writes the frames as H.264 with the index in front, so that a cut file still opens."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = clip.frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": "24", "threads": "1"}
        for frame in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write(folder: Path = FOLDER) -> Iterator[Path]:
    """Renders and writes every sample; yields each path when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, this in SAMPLES.items():
        path = folder / f"{name}.mp4"
        encode(render_sample(this), path)
        if this.kept < 1:
            whole = path.read_bytes()
            path.write_bytes(whole[: int(len(whole) * this.kept)])
        yield path
