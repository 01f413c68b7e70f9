"""Open-vocabulary detectors of ultralytics, YOLOE and YOLO-World: prompts become their classes.

Ultralytics itself would install a fork of CLIP from its repository and download the text encoder.
Here the tokenizer is that of `open_clip`, and the encoder a verified file.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pvtt_flow.core.products import DetectParams
from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.models.checkpoints import Opener
from pvtt_flow.models.example_pictures import embed
from pvtt_flow.models.ultralytics_model import takes_prompts

LocateEncoder = Callable[[str], Path]
"""Returns the verified file of a text encoder by its name in the table of checkpoints."""

_KEY = "$.detect.phrases"
# Of a text encoder, as a model's `text_model` names it.
_ENCODERS = {
    "mobileclip:blt": "mobileclip_blt",
    "mobileclip2:b": "mobileclip2_b",
    "clip:ViT-B/32": "clip_vit_b_32",
}


def learn(
    path: Path, yolo: Any, wanted: DetectParams, locate_encoder: LocateEncoder, open_uri: Opener
) -> tuple[str, ...]:
    """Make phrases and pictures the classes of a loaded model; return their names.

    Raises ConfigError for a model that has classes of its own, and PreflightError if the library
    or the file of the text encoder is missing, or a picture is none.
    """
    import torch

    shown = embed(path, yolo, wanted.examples, open_uri) if wanted.examples else {}
    phrases = tuple(phrase for phrase in wanted.all_phrases if phrase not in shown)
    said = [_features(path, yolo, phrases, locate_encoder)] if phrases else []
    classes, model = (*shown, *phrases), yolo.model
    if takes_prompts(yolo):
        head: Any = model.model[-1]
        # Pictures may have moved the model to a GPU.
        device = next(head.parameters()).device
        words = [head.get_tpe(features.to(device)).detach().cpu() for features in said]
        model.set_classes(list(classes), torch.cat([*shown.values(), *words], 1))
    else:
        (model.txt_feats,) = said
        model.model[-1].nc = len(classes)
        model.names = dict(enumerate(classes))
    yolo.predictor = None
    return classes


def _features(path: Path, yolo: Any, phrases: Sequence[str], locate_encoder: LocateEncoder) -> Any:
    encoder = encoder_of(yolo)
    if encoder is None:
        raise ConfigError(
            f"{_KEY} must be null for {path}, which knows only its own classes: name them in "
            "$.detect.classes, or take a YOLOE (but no prompt-free one) or a YOLO-World"
        )
    return encode(phrases, locate_encoder(encoder), is_clip=encoder.startswith("clip"))


def encoder_of(yolo: Any) -> str | None:
    """Return the name of the text encoder that a model was trained with; None if it has none."""
    from ultralytics.nn.tasks import WorldModel

    if takes_prompts(yolo):
        return _ENCODERS[getattr(yolo.model, "text_model", "mobileclip:blt")]
    return _ENCODERS["clip:ViT-B/32"] if isinstance(yolo.model, WorldModel) else None


def encode(phrases: Sequence[str], encoder: Path, *, is_clip: bool) -> Any:
    """Return the features of phrases, float32 tensor (1, N, 512) of unit length.

    Raises PreflightError if the tokenizer's library is missing or the file is no text encoder.
    """
    import torch

    try:
        from open_clip.openai import load_openai_model
        from open_clip.tokenizer import SimpleTokenizer
    except ImportError as error:
        raise PreflightError(
            f"{_KEY} needs the library {error.name}, which is not installed; run pip install "
            "'pvtt_flow[phrases]' on every machine"
        ) from error
    tokens = SimpleTokenizer()(list(phrases))
    try:
        with torch.inference_mode():
            if is_clip:
                model: Any = load_openai_model(str(encoder), precision="fp32", device="cpu")
                features = model.encode_text(tokens)
            else:
                model = torch.jit.load(str(encoder), map_location="cpu")  # type: ignore[no-untyped-call]
                features = model(tokens)
    except RuntimeError as error:
        raise PreflightError(f"{encoder} must be a text encoder: {error}") from error
    # A copy, which may be used outside of inference mode.
    return torch.nn.functional.normalize(features.float(), dim=-1)[None].clone()
