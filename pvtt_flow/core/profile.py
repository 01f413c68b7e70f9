"""Profile: what one consumer of masks or boxes reads, as a frozen table of values.

A consumer is a model for inpainting or insertion. Values are those of the code that reads its
input; `pvtt_flow/export/profiles/` has a YAML file for each.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pvtt_flow.params import Params

Container: TypeAlias = Literal["png", "ffv1", "x264_lossless", "x264", "npz"]
"""`png`: a folder of 00000.png, 00001.png, ...; `ffv1`: FFV1 in Matroska; `x264_lossless`: MP4 with
`-qp 0` and yuv444p; `x264`: MP4 with CRF 18 and yuv420p; `npz`: an array of NumPy, key `arr_0`."""
Shape: TypeAlias = Literal["cross", "square", "ellipse", "hull", "box"]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Level: TypeAlias = Annotated[int, Field(ge=0, le=255)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]

BUNDLE = "bundle.json"
"""File that describes a bundle."""
# Files and folders below a folder, in letters that every store and system has.
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
_ENDINGS: Mapping[Container, str] = {
    "ffv1": ".mkv",
    "x264_lossless": ".mp4",
    "x264": ".mp4",
    "npz": ".npz",
}


class Source(Params):
    """Code or document that the profile's values are from."""

    repository: str
    """Owner and name on GitHub, or the title of a document."""
    commit: str
    """Commit that was read."""
    file: str
    """File or function that reads the input."""


class FrameCount(Params):
    """Numbers of frames that the consumer takes; `least` equal to `most` is one exact number."""

    least: Count
    """Least number of frames."""
    most: Count | None = None
    """Largest number of frames; null: no limit."""
    step: Count = 1
    """Numbers of frames are a multiple of this plus 1: 4 for 4n+1, 16 for 16n+1, 1 for any."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in ("least", "most"):
            count = getattr(self, name)
            if count is not None and (count - 1) % self.step:
                raise ValueError(f"{name} must be {self.step}n+1, got {count}")
        if self.most is not None and self.most < self.least:
            raise ValueError(f"most must be at least least, got {self.most} and {self.least}")
        return self

    def longest(self, num_frames: int) -> int | None:
        """Return the largest number of at most `num_frames` that the consumer takes, or None."""
        num_frames = num_frames if self.most is None else min(num_frames, self.most)
        if num_frames < self.least:
            return None
        return num_frames - (num_frames - 1) % self.step


class PictureSize(Params):
    """Size of the pictures and how a source gets it: `width_px` and `height_px`, or a longest
    side; the source's own size without both."""

    width_px: Count | None = None
    """Width in pixels."""
    height_px: Count | None = None
    """Height in pixels."""
    max_side_px: Count | None = None
    """Longest side in pixels; larger pictures are scaled down."""
    multiple: Count = 1
    """Number that divides both sides."""
    fit: Literal["fit", "crop", "pad"] = "fit"
    """`fit` scales the picture into the size, without bars, and rounds its sides down to
    `multiple`; `crop` fills the size and cuts off what is outside; `pad` adds black bars."""
    swap_for_portrait: bool = False
    """Swap width and height for pictures that are higher than wide."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        sides = self.width_px, self.height_px
        if (self.width_px is None) != (self.height_px is None):
            raise ValueError("width_px and height_px must be given together")
        if self.width_px is not None and self.max_side_px is not None:
            raise ValueError("max_side_px must be null if width_px and height_px are given")
        if self.fit != "fit" and self.width_px is None:
            raise ValueError(f"width_px and height_px must be given for fit: {self.fit}")
        if bad := [side for side in sides if side is not None and side % self.multiple]:
            raise ValueError(f"both sides must be multiples of {self.multiple}, got {bad[0]}")
        return self


class MaskRule(Params):
    """Gray levels of a mask, and how the consumer reads them."""

    hole: Level = 255
    """Level of the product, which the consumer replaces; below `keep`, the mask is inverted."""
    keep: Level = 0
    """Level of the background."""
    overlap: Level | None = None
    """Level where the product covers something that moves with it; null: no such level."""
    affected: Level | None = None
    """Level of what moves without the product, as its shadow; null: no such level."""
    cut: Level = 0
    """Level at which the consumer divides decoded values."""
    operator: Literal[">", ">="] = ">"
    """Comparison of a decoded value with `cut`."""
    resize: Literal["nearest", "area", "bilinear", "bicubic"] = "nearest"
    """Interpolation of masks that do not have the consumer's size."""

    @model_validator(mode="after")
    def _survives_its_cut(self) -> Self:
        if not self.is_hole(np.array(self.hole)) or self.is_hole(np.array(self.keep)):
            raise ValueError(
                f"hole and keep must be on two sides of the cut, got {self.hole} and {self.keep} "
                f"with {self.operator} {self.cut}"
            )
        return self

    @property
    def polarity(self) -> Literal["white", "inverted", "levels"]:
        """Name of the kind of mask: `white` is the hole, `inverted` is black, or four levels."""
        if self.overlap is not None or self.affected is not None:
            return "levels"
        return "white" if self.hole > self.keep else "inverted"

    def is_hole(self, decoded: NDArray[np.integer | np.floating]) -> NDArray[np.bool_]:
        """Return where the consumer sees a hole, bool, from decoded levels of the same shape."""
        above = decoded > self.cut if self.operator == ">" else decoded >= self.cut
        return np.asarray(above if self.hole > self.keep else ~above)


class ConsumerGrowth(Params):
    """Growth that the consumer does itself, so that nobody grows twice."""

    shape: Shape
    """Shape that the mask grows by."""
    radius_px: Annotated[float, Field(ge=0)]
    """Pixels by which it grows on each side."""


class Growth(Params):
    """Growth of the mask before it is written, at output size."""

    shape: Shape | None = None
    """`cross`, `square` and `ellipse` dilate the mask; `hull` and `box` take its convex hull or its
    box, then grow; null: the mask as it is."""
    radius_px: Annotated[int, Field(ge=0)] = 0
    """Pixels on each side, at output size."""
    blocks_px: Count | None = None
    """Side of the blocks of a grid; each block that the mask touches is filled; null: no blocks."""
    consumer_growth: ConsumerGrowth | None = None
    """Growth by the consumer itself; null: none."""

    @model_validator(mode="after")
    def _has_a_shape(self) -> Self:
        if self.radius_px and self.shape is None:
            raise ValueError(f"shape must be given to grow by {self.radius_px} px")
        return self


class FileRule(Params):
    """Name and format of a sequence."""

    name: str
    """File, or folder of pictures, in the bundle's folder."""
    container: Container
    """`png` (a folder), `ffv1`, `x264_lossless` (yuv444p), `x264` (CRF 18, yuv420p) or `npz`."""

    @model_validator(mode="after")
    def _ending(self) -> Self:
        ending = _ENDINGS.get(self.container)
        if ending and not self.name.endswith(ending):
            raise ValueError(f"name must end with {ending} for {self.container}, got {self.name}")
        return self


class CaptionFile(Params):
    """File of the text that the consumer reads beside the video."""

    name: str
    """File in the bundle's folder."""
    key: str | None = None
    """Key of the text in a JSON object; null: plain text."""
    prefix: str = ""
    """Text before each caption."""


class Files(Params):
    """Files of a bundle; null ones are not written."""

    video: FileRule | None = None
    """Pictures of the source."""
    mask: FileRule | None = None
    """Mask of the product on each picture."""
    second_mask: FileRule | None = None
    """Mask of the product and its effects, as shadows and reflections, which a person or the
    consumer's own tool has to make."""
    table: str | None = None
    """CSV with a row for each masklet: path, mask_id, start_frame, end_frame, fps, caption."""
    boxes: str | None = None
    """JSON of the boxes of all pictures."""
    first_frame: str | None = None
    """First picture as the consumer sees it."""
    first_frame_raw: str | None = None
    """First picture without bars."""
    region: str | None = None
    """JSON of the product's region on the first picture."""
    background: str | None = None
    """First picture without bars, the product filled in from its surroundings; `first_frame` then
    has the product on its left third and this picture on the right, on white."""
    cutout: str | None = None
    """Product from its best picture, with alpha."""
    second_cutout: str | None = None
    """Product from another picture, far from the best one in time."""
    cutout_mask: str | None = None
    """Mask of the cut-out, gray, 255 is the product."""
    caption: CaptionFile | None = None
    """Text."""
    metadata: str | None = None
    """JSON of sizes, bars and origins."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files that are written."""
        rules = (rule for _, rule in self if rule is not None)
        return tuple(rule if isinstance(rule, str) else rule.name for rule in rules)

    @model_validator(mode="after")
    def _inside_and_different(self) -> Self:
        for name in self.names:
            if not _NAME.fullmatch(name) or name == BUNDLE:
                raise ValueError(
                    f"names must be of files inside of the bundle's folder, and not {BUNDLE}, "
                    f"got {name!r}"
                )
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names must be different, got {', '.join(sorted(self.names))}")
        return self

    @model_validator(mode="after")
    def _masks_without_loss(self) -> Self:
        for rule in (self.mask, self.second_mask):
            if rule and rule.container == "x264":
                raise ValueError(
                    f"container of {rule.name} must be without loss, since a consumer's cut turns "
                    "its noise into hole, got x264; use x264_lossless"
                )
        return self


class FitnessLimits(Params):
    """Limits within which the consumer is known to work; null: no limit is known. Boxes are grown
    and placed as the consumer gets them; they are of the whole mask unless it says otherwise."""

    presence: Fraction | None = None
    """Least fraction of frames with the product; null: one frame is enough."""
    coverage_mean: Fraction | None = None
    """Largest mean of the box's area over frames with the product, as a fraction of the picture."""
    coverage_max: Fraction | None = None
    """Largest area of a box, as a fraction of the picture."""
    center_y_spread: Annotated[float, Field(ge=0)] | None = None
    """Largest standard deviation of the center in y of the box around the largest fragment, which
    specks do not move, as a fraction of the picture's height."""
    border_contact: Fraction | None = None
    """Largest fraction of frames with the product on which its largest fragment touches the
    picture's border."""
    product_px: Annotated[float, Field(ge=0)] | None = None
    """Least mean size of the product at output size, in pixels: the square root of its area."""
    cutouts: Annotated[int, Field(ge=0)] | None = None
    """Least number of frames of the masklet from which the product can be cut out: it is whole,
    away from the border and at least `product_px` large."""


class Profile(Params):
    """Table of what one consumer reads."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Name, by which the command line and readers know the profile."""
    about: str
    """Sentence that says what the consumer does."""
    source: Source
    """Code or document that the values are from."""
    frames: FrameCount
    """Numbers of frames."""
    fps: Annotated[float, Field(gt=0)] | None = None
    """Frames per second; other sources are re-timed by pts. Null: the source's own rate."""
    size: PictureSize = PictureSize()
    """Size of pictures and masks."""
    mask: MaskRule = MaskRule()
    """Gray levels of the mask."""
    growth: Growth = Growth()
    """Growth of the mask, ours and the consumer's."""
    hole_gray: Level | None = None
    """Gray level that is painted into the hole of the pictures; null: the source stays."""
    cutout_gray: Level | None = None
    """Gray level behind a cut-out; null: transparent."""
    files: Files
    """Names and formats of the files."""
    fitness: FitnessLimits = FitnessLimits()
    """Limits of the second verdict."""
    notes: tuple[str, ...] = ()
    """Facts about the consumer that no field holds."""
