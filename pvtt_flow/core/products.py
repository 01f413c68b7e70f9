"""Choice of the products among a frame's detections."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from pvtt_flow.core import boxes
from pvtt_flow.core.phrases import PRODUCTS, SURROUNDINGS, Phrase
from pvtt_flow.params import Params
from pvtt_flow.types import AddProducts, Detections, Prompt

# Fractions of the picture between which a product is neither too small nor too large to be meant.
_SIZES = (0.02, 0.6)
# Share of its rank that a product keeps in a corner of the picture.
_CORNER_SHARE = 0.5


class Example(Params):
    """Picture of a product, to find it in videos."""

    picture: str
    """Path or uri of a picture: a photo of the product, or a frame that shows it."""
    box_xyxy: Annotated[tuple[float, ...], Field(min_length=4, max_length=4)] | None = None
    """Box of the product in it, pixels; null: the whole picture."""
    label: Annotated[str, Field(min_length=1, max_length=100)] = "product"
    """Label of what is found; examples of one label are averaged."""

    @field_validator("box_xyxy")
    @classmethod
    def _check_box(cls, box: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if box is not None and not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
            raise ValueError(f"box_xyxy must have x0 < x1 and y0 < y1 from 0 on, got {list(box)}")
        return box


class DetectParams(Params):
    """Selection of products among the detector's boxes, and of the frame that is searched."""

    add_products: AddProducts = "always"
    """Videos whose detected products become objects: `always`: all videos, next to the prompts of
    the manifest; `unprompted`: videos without prompts in the manifest; `never`: none, so that only
    prompts of the manifest are tracked. A manifest can say this for each video."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Lowest confidence of a detection that is kept."""
    classes: tuple[str, ...] | None = None
    """Names of the detector's classes that count as products; null: all of its classes."""
    phrases: Literal["products"] | Annotated[tuple[Phrase, ...], Field(min_length=1)] | None = None
    """Products for which an open-vocabulary detector (YOLOE, YOLO-World) looks, as `[mug, bottle]`;
    `products`: a list of many; null: the detector has classes of its own. Needs the extra
    `phrases`."""
    absorb: tuple[Phrase, ...] = SURROUNDINGS
    """Phrases, beside `phrases`, of what is no product; it takes boxes that would else be called
    one."""
    examples: tuple[Example, ...] = ()
    """Pictures of the products to find, as visual prompts of a YOLOE; `[{picture: mug.jpg}]`."""
    max_products: Annotated[int, Field(ge=1, le=64)] = 1
    """Largest number of objects per shot."""
    choose: Literal["score", "area", "centrality", "product"] = "score"
    """Ranking of products, which decides what `max_products` and `max_iou` keep: `score`
    (confidence), `area` (size), `centrality` (closeness to the picture's center), or `product`: the
    score, less for a box at the picture's border, for one below 2 % or above 60 % of the picture,
    and for one that is seen on few of the frames that are searched."""
    max_iou: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Largest overlap (IoU) of two products; of two boxes that overlap more, the lower-ranked one
    is dropped, and so is a product that overlaps more with a prompt of the manifest."""
    min_area: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Smallest area of a product, as a fraction of the picture's area."""
    prompt_frame: Literal["first", "sharp", "confident"] = "first"
    """Frame of a shot on which products are detected: `first`; `sharp`: the first candidate that is
    about as sharp as the sharpest one; `confident`: the candidate on which the products' scores
    have the largest sum. `sharp` and `confident` need `tracker.direction: both`."""
    recheck_every: Annotated[int, Field(ge=0)] = 0
    """Number of processed frames from one that is searched again to the next, on which detections
    are linked and compared with the masks; 0: none."""
    num_candidates: Annotated[int, Field(ge=2, le=32)] = 8
    """Number of candidate frames per shot, the first frame included, for `sharp` and `confident`.
    All of them are decoded; `confident` also runs the detector on all of them."""

    @property
    def product_phrases(self) -> tuple[str, ...]:
        """Return the phrases of products, each once; none without `phrases`."""
        phrases = PRODUCTS if self.phrases == "products" else self.phrases or ()
        return tuple(dict.fromkeys(phrases))

    @property
    def all_phrases(self) -> tuple[str, ...]:
        """Return the phrases that the detector is given: products first, then what absorbs."""
        if self.phrases is None:
            return ()
        return tuple(dict.fromkeys((*self.product_phrases, *self.absorb)))

    @property
    def product_classes(self) -> tuple[str, ...] | None:
        """Return the classes of products; None if all are."""
        prompted = (*(example.label for example in self.examples), *self.product_phrases)
        return self.classes if self.classes is not None else prompted or None


def choose_products(
    detections: Detections,
    *,
    frame_index: int,
    width_px: int,
    height_px: int,
    params: DetectParams,
    persistence: NDArray[np.floating] | None = None,
) -> tuple[Prompt, ...]:
    """Return box prompts for the products on one frame, best first; object ids count from 0.

    `persistence` is the share of the searched frames on which each detection is seen, (N,).
    """
    places, boxes_xyxy = product_places(
        detections,
        width_px=width_px,
        height_px=height_px,
        params=params,
        min_score=params.min_score,
    )
    rank = _rank(detections, boxes_xyxy, width_px, height_px, params)
    if params.choose == "product" and persistence is not None:
        rank = rank * persistence
    order = sorted(places, key=lambda i: -float(rank[i]))
    # One more than is wanted: the best one that is left out.
    apart = _suppress_overlaps(order, boxes_xyxy, params.max_iou, params.max_products + 1)
    chosen, left = apart[: params.max_products], apart[params.max_products :]
    return tuple(
        Prompt(
            object_id=object_id,
            frame_index=frame_index,
            label=detections.labels[i],
            box_xyxy=tuple(float(v) for v in boxes_xyxy[i]),
            score=float(detections.scores[i]),
            margin=_margin(float(rank[i]), [float(rank[other]) for other in left]),
        )
        for object_id, i in enumerate(chosen)
    )


def product_places(
    detections: Detections, *, width_px: int, height_px: int, params: DetectParams, min_score: float
) -> tuple[list[int], boxes.Boxes]:
    """Return the places of the products among the detections, and all boxes clipped to the picture.

    Products are of the wanted classes, large enough and have at least this score.
    """
    boxes_xyxy = boxes.clip(detections.boxes_xyxy, width_px, height_px)
    classes = params.product_classes
    in_class = np.array([classes is None or n in classes for n in detections.labels], bool)
    is_large = boxes.areas(boxes_xyxy) >= max(params.min_area * width_px * height_px, 1)
    keep = in_class & is_large & (detections.scores >= min_score)
    return np.flatnonzero(keep).tolist(), boxes_xyxy


def _margin(rank: float, others: Sequence[float]) -> float:
    """Return how far the best of the others is below, as a share of the rank."""
    best = max(others, default=0.0)
    return 1 - best / rank if rank > 0 else 0.0


def _rank(
    detections: Detections,
    boxes_xyxy: boxes.Boxes,
    width_px: int,
    height_px: int,
    params: DetectParams,
) -> NDArray[np.floating]:
    match params.choose:
        case "score":
            return detections.scores
        case "area":
            return boxes.areas(boxes_xyxy)
        case "centrality":
            return boxes.centrality(boxes_xyxy, width_px, height_px)
        case "product":
            return _product_rank(detections.scores, boxes_xyxy, width_px, height_px)


def _product_rank(
    scores: NDArray[np.floating], boxes_xyxy: boxes.Boxes, width_px: int, height_px: int
) -> NDArray[np.floating]:
    """Return the score, lowered by a box's place and size, (N,)."""
    central = boxes.centrality(boxes_xyxy, width_px, height_px)
    place = _CORNER_SHARE + (1 - _CORNER_SHARE) * central
    share = boxes.areas(boxes_xyxy) / (width_px * height_px)
    least, most = _SIZES
    size = np.clip(np.minimum(share / least, (1 - share) / (1 - most)), 0, 1)
    return np.asarray(scores * place * size)


def _suppress_overlaps(
    order: list[int], boxes_xyxy: boxes.Boxes, max_iou: float, most: int
) -> list[int]:
    """Apply greedy non-maximum suppression in the given order, up to so many."""
    kept: list[int] = []
    for i in order:
        if len(kept) == most:
            break
        if (boxes.iou(boxes_xyxy[[i]], boxes_xyxy[kept]) <= max_iou).all():
            kept.append(i)
    return kept
