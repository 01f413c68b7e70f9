"""Open-vocabulary detectors with random weights: phrases in, labelled boxes out, no network."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pvtt_flow.core.phrases import PRODUCTS, SURROUNDINGS
from pvtt_flow.core.products import DetectParams, Example, choose_products
from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.detector import DetectorParams, YoloDetector
from pvtt_flow.models.open_vocabulary import encode, encoder_of, learn
from pvtt_flow.models.ultralytics_model import import_yolo
from pvtt_flow.storage.streams import open_binary
from tests.models.weights import random_model, random_text_encoder

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
NO_CLIP = """
import sys
sys.modules["open_clip.openai"] = None
from pathlib import Path
from pvtt_flow.models.open_vocabulary import encode
try:
    encode(["mug"], Path("none"), is_clip=False)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open_vocabulary")


@pytest.fixture(scope="module")
def mobileclip(folder: Path) -> Path:
    return random_text_encoder(folder / "mobileclip.ts")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    """Save a small CLIP under the names of OpenAI's."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    model = CLIP(
        512,
        CLIPVisionCfg(layers=1, width=64, patch_size=32, image_size=64),
        CLIPTextCfg(layers=1, width=64, heads=1),
        quick_gelu=True,
    )
    torch.save(model.state_dict(), folder / "clip.pt")
    return folder / "clip.pt"


@pytest.fixture(scope="module")
def yoloe(folder: Path) -> Path:
    return random_model(folder / "yoloe.pt", "yoloe-26n-seg.yaml")


@pytest.fixture(scope="module")
def yolo_world(folder: Path) -> Path:
    return random_model(folder / "world.pt", "yolov8s-worldv2.yaml")


def detector(weights: Path, encoder: Path, **detect: Any) -> tuple[YoloDetector, list[str]]:
    """Return a detector and the names of the text encoders that it asked for."""
    asked: list[str] = []
    wanted = DetectParams(min_score=0, **detect)

    def locate(name: str) -> Path:
        asked.append(name)
        return encoder

    def teach(yolo: Any) -> Sequence[str]:
        return learn(weights, yolo, wanted, locate, open_binary)

    return YoloDetector(weights, DetectorParams(image_size_px=128), wanted, teach), asked


@pytest.mark.parametrize(
    ("model", "encoder", "name"),
    [("yoloe", "mobileclip", "mobileclip2_b"), ("yolo_world", "clip", "clip_vit_b_32")],
)
def test_phrases_are_the_labels(
    request: pytest.FixtureRequest, model: str, encoder: str, name: str
) -> None:
    files = request.getfixturevalue(model), request.getfixturevalue(encoder)
    made, asked = detector(*files, phrases=("mug", "red bottle"), absorb=("hand",))
    assert made.classes == ("mug", "red bottle", "hand")
    assert asked == [name]
    (found,) = made.detect([PICTURE])
    assert len(found.scores)
    assert {*found.labels} <= {*made.classes}
    # Other words are other features, so other scores.
    others, _ = detector(*files, phrases=("shoe", "watch"), absorb=("wall",))
    (seen,) = others.detect([PICTURE])
    assert found.scores[:5].tolist() != seen.scores[:5].tolist()


def test_what_absorbs_a_box_is_no_product(yoloe: Path, mobileclip: Path) -> None:
    made, _ = detector(yoloe, mobileclip, phrases=("mug",), absorb=("hand", "table"))
    (found,) = made.detect([PICTURE])
    assert {"hand", "table"} & {*found.labels}
    params = DetectParams(phrases=("mug",), absorb=("hand", "table"), min_score=0, max_products=64)
    chosen = choose_products(found, frame_index=0, width_px=128, height_px=96, params=params)
    assert {prompt.label for prompt in chosen} <= {"mug"}


def test_the_shipped_list_of_products(yoloe: Path, mobileclip: Path) -> None:
    made, _ = detector(yoloe, mobileclip, phrases="products")
    assert made.classes == (*PRODUCTS, *SURROUNDINGS)
    assert not {*PRODUCTS} & {*SURROUNDINGS}


@pytest.mark.parametrize("kind", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", ["yoloe", "yolo_world"])
def test_an_export_keeps_the_phrases_that_it_was_taught(
    request: pytest.FixtureRequest, model: str, kind: str, tmp_path: Path
) -> None:
    """Ultralytics writes them into the graph: neither phrases nor a text encoder are needed."""
    yolo = import_yolo()(shutil.copy(request.getfixturevalue(model), tmp_path))
    encoder = request.getfixturevalue("mobileclip" if model == "yoloe" else "clip")
    wanted = DetectParams(phrases=("mug", "red bottle"), absorb=("hand",))
    classes = learn(Path(yolo.ckpt_path), yolo, wanted, lambda _: encoder, open_binary)
    options = {"simplify": False} if kind == "onnx" else {}
    exported = Path(yolo.export(format=kind, imgsz=128, **options))
    made = YoloDetector(exported, DetectorParams(device="cpu"), DetectParams(min_score=0))
    assert made.classes == classes == ("mug", "red bottle", "hand")
    taught, _ = detector(
        Path(yolo.ckpt_path), encoder, phrases=wanted.phrases, absorb=wanted.absorb
    )
    (found,), (seen,) = made.detect([PICTURE]), taught.detect([PICTURE])
    assert found.scores[:5] == pytest.approx(seen.scores[:5], abs=0.02)
    assert found.labels[:5] == seen.labels[:5]


def test_features_have_unit_length_and_are_of_the_words(mobileclip: Path, clip: Path) -> None:
    for encoder, is_clip in ((mobileclip, False), (clip, True)):
        features = encode(["mug", "bottle", "mug"], encoder, is_clip=is_clip)
        assert features.shape == (1, 3, 512)
        torch.testing.assert_close(features.norm(dim=-1), torch.ones(1, 3))
        assert torch.equal(features[0, 0], features[0, 2])
        assert not torch.equal(features[0, 0], features[0, 1])


@pytest.fixture(scope="module")
def photo(folder: Path) -> str:
    Image.fromarray(PICTURE).save(folder / "photo.png")
    return str(folder / "photo.png")


def test_pictures_are_classes_too(yoloe: Path, mobileclip: Path, photo: str) -> None:
    mug = (Example(picture=photo, box_xyxy=(8, 8, 60, 70), label="my mug"),)
    made, asked = detector(yoloe, mobileclip, examples=mug)
    assert (made.classes, asked) == (("my mug",), [])
    (found,) = made.detect([PICTURE])
    assert {*found.labels} == {"my mug"}
    whole, _ = detector(yoloe, mobileclip, examples=(Example(picture=photo),))
    (other,) = whole.detect([PICTURE])
    assert found.scores[:5].tolist() != other.scores[:5].tolist()
    both, asked = detector(yoloe, mobileclip, examples=mug, phrases=("shoe",), absorb=("hand",))
    assert (both.classes, asked) == (("my mug", "shoe", "hand"), ["mobileclip2_b"])
    params = DetectParams(examples=mug, phrases=("shoe",), absorb=("hand",))
    assert params.product_classes == ("my mug", "shoe")


def test_examples_of_one_label_are_averaged(yoloe: Path, mobileclip: Path, photo: str) -> None:
    left, right = (Example(picture=photo, box_xyxy=(x, 8, x + 50, 80)) for x in (4, 70))
    scores = []
    for examples in ((left,), (right,), (left, right)):
        made, _ = detector(yoloe, mobileclip, examples=examples)
        (found,) = made.detect([PICTURE])
        scores.append(found.scores[:20])
    assert scores[0].tolist() != scores[2].tolist() != scores[1].tolist()


@pytest.mark.parametrize(
    ("example", "error", "message"),
    [
        ({"box_xyxy": (0, 0, 999, 9)}, ConfigError, r"box_xyxy must be inside of .*128x96 pixels"),
        ({"picture": "nowhere.png"}, PreflightError, r"nowhere\.png"),
    ],
)
def test_an_example_that_is_none(
    yoloe: Path, mobileclip: Path, photo: str, example: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        detector(yoloe, mobileclip, examples=(Example(**{"picture": photo, **example}),))


def test_a_file_that_is_no_picture(yoloe: Path, mobileclip: Path) -> None:
    with pytest.raises(PreflightError, match=r"yoloe\.pt must be a picture that OpenCV reads"):
        detector(yoloe, mobileclip, examples=(Example(picture=str(yoloe)),))


def test_a_detector_with_classes_of_its_own_refuses_examples(photo: str) -> None:
    embedded = checkpoints.embedded_file("detector.pt")
    with pytest.raises(ConfigError, match=r"must be empty for .*, which is no YOLOE that takes"):
        detector(embedded, embedded, examples=(Example(picture=photo),))


def test_a_detector_with_classes_of_its_own_refuses_phrases() -> None:
    embedded = checkpoints.embedded_file("detector.pt")
    with pytest.raises(ConfigError) as caught:
        detector(embedded, embedded, phrases=("mug",))
    assert str(caught.value) == (
        f"$.detect.phrases must be null for {embedded}, which knows only its own classes: name "
        "them in $.detect.classes, or take a YOLOE (but no prompt-free one) or a YOLO-World"
    )


def test_a_prompt_free_model_has_its_own_classes(yoloe: Path, folder: Path) -> None:
    yolo: Any = import_yolo()(str(yoloe))
    assert encoder_of(yolo) == "mobileclip2_b"
    yolo.model.model[-1].lrpc = torch.nn.ModuleList()
    assert encoder_of(yolo) is None


def test_another_file_is_no_text_encoder(yoloe: Path) -> None:
    with pytest.raises(PreflightError, match=r"yoloe\.pt must be a text encoder: "):
        detector(yoloe, yoloe, phrases=("mug",))


def test_the_extra_is_named_where_its_library_is_missing() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", NO_CLIP], capture_output=True, text=True, check=True
    )
    assert "PreflightError $.detect.phrases needs the library open_clip" in shown.stdout
    assert "pip install 'pvtt_flow[phrases]'" in shown.stdout


@pytest.mark.parametrize("config", ["yolo26n.yaml", "yolo11n.yaml", "rtdetr-l.yaml"])
def test_the_other_named_families_detect(tmp_path: Path, config: str) -> None:
    """With random weights: what they find has no meaning, its form has."""
    weights = random_model(tmp_path / "model.pt", config)
    made = YoloDetector(weights, DetectorParams(image_size_px=128), DetectParams(min_score=0))
    assert len(made.classes) == 80
    (found,) = made.detect([PICTURE])
    assert {*found.labels} <= {*made.classes}
    assert found.boxes_xyxy.shape == (len(found.scores), 4)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("yoloe-26n-seg", "yoloe-26n-seg.yaml"),
        ("yoloe-11s-seg", "yoloe-11s-seg.yaml"),
        ("yolov8s-worldv2", "yolov8s-worldv2.yaml"),
        ("yolo26n", "yolo26n.yaml"),
    ],
)
def test_the_table_names_the_text_encoder_that_the_model_asks_for(name: str, config: str) -> None:
    """Licenses are told by the table, without loading the model."""
    yolo: Any = import_yolo()
    assert checkpoints.known()[name].text_encoder == encoder_of(yolo(config))


def test_named_detectors_are_pinned_and_say_their_license() -> None:
    known = checkpoints.known()
    detectors = {name for name, c in known.items() if c.kind == "detector"}
    families = ("yolo26", "yolo11", "yoloe-26", "yoloe-11", "yolov8", "rtdetr", "embedded")
    assert all(any(name.startswith(family) for name in detectors) for family in families)
    for name in detectors - {"embedded_detector"}:
        assert known[name].license == "AGPL-3.0"
        assert known[name].file_name == f"{name}.pt"
    assert checkpoints.license_of("yolov8s-worldv2") == "AGPL-3.0"
    assert checkpoints.license_of("yolov8s-worldv2", with_phrases=True) == (
        "AGPL-3.0, clip_vit_b_32: MIT"
    )
    assert checkpoints.license_of("yolo26n", with_phrases=True) == "AGPL-3.0"
    # Phrases need a file that may be under other terms than the detector.
    encoders = {name: c.license for name, c in known.items() if c.kind == "text encoder"}
    assert encoders == {
        "mobileclip_blt": "apple-amlr", "mobileclip2_b": "apple-amlr", "clip_vit_b_32": "MIT",
    }  # fmt: skip
