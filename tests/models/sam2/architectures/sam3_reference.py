"""Small models of transformers' SAM 3 tracker, used through its inference sessions."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam3_tracker_video.configuration_sam3_tracker_video import (
    Sam3TrackerVideoConfig,
)
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import (
    Sam3TrackerVideoImageSegmentationOutput,
    Sam3TrackerVideoInferenceSession,
    Sam3TrackerVideoModel,
)

from pvtt_flow.core import rle
from pvtt_flow.types import Prompt
from tests.models.sam2.official import ObjectOutput, official_image
from tests.models.sam2.shots import Shot

GRID = 8
_WINDOW, _PRETRAINED_GRID = 5, 3


class FollowingModel(Sam3TrackerVideoModel):  # type: ignore[misc]
    """transformers' model, but where it computes other results than facebookresearch/sam3.

    - A mask prompt has 16 pixels for a token, not the size of the image, and soft edges. Its
      pointer is that of the single mask, not of the best candidate, and its memory that of the
      shown mask at a quarter of that size (sam3_tracking_predictor.py, `add_new_mask` and
      `_consolidate_temp_output_across_obj`).
    - Masks are resized for the memory encoder after the sigmoid (memory.py,
      `SimpleMaskDownSampler`), not before.
    - Pointers are of the same conditioning frames as memories (sam3_tracker_base.py,
      `_prepare_memory_conditioned_features`), not of all.

    Memories are not rounded.
    """

    def _use_mask_as_output(
        self, backbone_features: Tensor, high_res_features: list[Tensor], mask_inputs: Tensor
    ) -> Any:
        mask = functional.interpolate(
            mask_inputs, (16 * GRID, 16 * GRID), mode="bilinear", antialias=True
        )
        prompted = self._single_frame_forward(
            input_masks=self.mask_downsample(mask),
            image_embeddings=[*high_res_features, backbone_features],
            multimask_output=False,
        )
        size = self.prompt_encoder.mask_input_size
        masks = functional.interpolate(20 * mask_inputs - 10, size, mode="bilinear", antialias=True)
        assert mask_inputs.any(), "the object is visible"
        return Sam3TrackerVideoImageSegmentationOutput(
            pred_masks=masks,
            high_res_masks=self._enlarged(masks),
            object_pointer=prompted.object_pointer,
            object_score_logits=torch.full((1, 1, 1), 10.0),
        )

    def _encode_new_memory(
        self,
        current_vision_feats: Tensor,
        pred_masks_high_res: Tensor,
        object_score_logits: Tensor,
        is_mask_from_pts: bool,  # noqa: FBT001 (the signature of transformers)
    ) -> tuple[Tensor, Tensor]:
        large = pred_masks_high_res
        masks = 20 * ((large > 0).float() if is_mask_from_pts else large.sigmoid()) - 10
        size = 16 * GRID, 16 * GRID
        masks = functional.interpolate(
            masks, size, mode="bilinear", align_corners=False, antialias=True
        )
        features = current_vision_feats.permute(1, 2, 0).view(1, -1, GRID, GRID)
        memory, positions = self.memory_encoder(features, masks)
        if object_score_logits.item() <= 0:
            memory = memory + self.occlusion_spatial_embedding_parameter[..., None, None]
        return memory.flatten(2).permute(2, 0, 1), positions.flatten(2).permute(2, 0, 1)

    def _get_object_pointers(
        self, inference_session: Any, obj_idx: int, frame_idx: int, *args: Any, **kwargs: Any
    ) -> Any:
        outputs = inference_session.output_dict_per_obj[obj_idx]
        selected, others = self._select_closest_cond_frames(
            frame_idx, outputs["cond_frame_outputs"], self.config.max_cond_frame_num
        )
        tracked = {**others, **outputs["non_cond_frame_outputs"]}
        seen = {"cond_frame_outputs": selected, "non_cond_frame_outputs": tracked}
        session = SimpleNamespace(output_dict_per_obj={obj_idx: seen})
        return super()._get_object_pointers(session, obj_idx, frame_idx, *args, **kwargs)

    def _enlarged(self, masks: Tensor) -> Tensor:
        size = self.image_size, self.image_size
        return functional.interpolate(masks, size, mode="bilinear", align_corners=False)


def small_model(model_class: type[Sam3TrackerVideoModel], patch_px: int) -> Sam3TrackerVideoModel:
    """Make a model with random weights for images of `GRID` patches.

    Its windows of 5 patches do not divide the grid, and one block of three is global.
    """
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "patch_size": patch_px,
        "image_size": GRID * patch_px,
        "pretrain_image_size": _PRETRAINED_GRID * patch_px,
        "window_size": _WINDOW,
        "global_attn_indexes": [1],
        # facebookresearch/sam3's; 1e-6 is the default of transformers.
        "layer_norm_eps": 1e-5,
    }
    config = Sam3TrackerVideoConfig(
        vision_config={"model_type": "sam3_vision_model", "backbone_config": backbone},
        prompt_encoder_config={"patch_size": patch_px},
        image_size=GRID * patch_px,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=128,
    )
    torch.manual_seed(0)
    return _perturbed(model_class(config).eval())


def small_config(tree: dict[str, Any], patch_px: int) -> dict[str, Any]:
    """Return the config of `small_model`'s architecture from the published one."""
    model, grid = tree["model"], [GRID, GRID]
    model["image_size"], model["backbone_stride"] = GRID * patch_px, patch_px
    model["image_encoder"]["trunk"] |= {
        "img_size": GRID * patch_px,
        "pretrain_img_size": _PRETRAINED_GRID * patch_px,
        "patch_size": patch_px,
        "embed_dim": 64,
        "depth": 3,
        "num_heads": 2,
        "mlp_ratio": 1.25,
        "window_size": _WINDOW,
        "global_att_blocks": [1],
    }
    model["image_encoder"]["neck"]["backbone_channel_list"] = [64]
    attention = model["memory_attention"]
    attention["num_layers"], attention["layer"]["dim_feedforward"] = 2, 128
    for kind in ("self_attention", "cross_attention"):
        attention["layer"][kind]["feat_sizes"] = grid
    model["memory_encoder"]["mask_downsampler"]["interpol_size"] = [16 * GRID, 16 * GRID]
    return tree


def published_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights with the names of the file `model.safetensors` of facebook/sam3.

    transformers reads them by the rules `sam3_tracker` of its conversion_mapping.py. With them are
    some of the detector's.
    """
    state = {_published(name): value for name, value in model.state_dict().items()}
    detector = ("vision_encoder.neck.fpn_layers.0.proj1", "detr_encoder.layers.0.norm1")
    return {**state, **{f"detector_model.{name}.weight": torch.ones(3) for name in detector}}


def _published(name: str) -> str:
    if name.startswith("vision_encoder.backbone."):
        return f"detector_model.{name}"
    if name.startswith("vision_encoder.neck."):
        return name.replace("vision_encoder.neck.", "tracker_neck.")
    return f"tracker_model.{name}"


@torch.inference_mode()
def track(
    model: Sam3TrackerVideoModel, shot: Shot, *, both: bool = True
) -> dict[tuple[int, int], ObjectOutput]:
    """Track each object alone, forward and then backward; return outputs by object and position."""
    ids = sorted({p.object_id for prompts in shot.prompts.values() for p in prompts})
    outputs: dict[tuple[int, int], ObjectOutput] = {}
    for object_id in ids:
        prompts = {
            position: selected
            for position, frame_prompts in sorted(shot.prompts.items())
            if (selected := [p for p in frame_prompts if p.object_id == object_id])
        }
        tracked = _ObjectTracker(model, shot)
        tracked.run(prompts, both=both)
        outputs |= {(object_id, k): output for k, output in tracked.outputs()}
    return outputs


class _ObjectTracker:
    """Tracker of one object in an inference session."""

    def __init__(self, model: Sam3TrackerVideoModel, shot: Shot) -> None:
        self._model = model
        self._shot = shot
        size_px = model.image_size
        images = torch.stack([official_image(frame.rgb, size_px) for frame in shot.frames])
        self._session = Sam3TrackerVideoInferenceSession(
            2 * images.float() - 1, *shot.display_px, dtype=torch.float32
        )
        self._index = self._session.obj_id_to_idx(0)
        self._ious: dict[int, float] = {}

    def run(self, prompts: Mapping[int, Sequence[Prompt]], *, both: bool) -> None:
        """Prompt, and propagate with a stop at each correction."""
        initial = {k: p for k, p in prompts.items() if not p[0].correction}
        corrections = {k: p for k, p in prompts.items() if p[0].correction}
        for position, frame_prompts in initial.items():
            self._prompt(position, frame_prompts)
        first = min(initial)
        after = {k: p for k, p in corrections.items() if k > first}
        self._pass(first, after, reverse=False)
        if both and first:
            before = {k: p for k, p in corrections.items() if k < first}
            self._pass(first, before, reverse=True)

    def outputs(self) -> Iterator[tuple[int, ObjectOutput]]:
        for frame_outputs in self._session.output_dict_per_obj[self._index].values():
            for position, output in frame_outputs.items():
                logits = output["pred_masks"]
                resized = functional.interpolate(
                    logits, self._shot.display_px, mode="bilinear", align_corners=False
                )
                score, iou = output["object_score_logits"].item(), self._ious[position]
                yield position, ObjectOutput(logits[0, 0], resized[0, 0] > 0, score, iou)

    def _pass(
        self, start: int, corrections: Mapping[int, Sequence[Prompt]], *, reverse: bool
    ) -> None:
        for position in sorted(corrections, reverse=reverse):
            self._propagate(start, abs(position - start), reverse=reverse)
            self._correct(position, corrections[position])
            start = position
        self._propagate(start, None, reverse=reverse)

    def _propagate(self, start: int, max_frames: int | None, *, reverse: bool) -> None:
        step = -1 if reverse else 1
        frames = self._model.propagate_in_video_iterator(self._session, start, max_frames, reverse)
        position = start
        while True:
            with _recorded_ious(self._model) as ious:
                if next(frames, None) is None:
                    return
            if ious:
                self._ious[position] = ious[-1]
            position += step

    def _prompt(self, position: int, prompts: Sequence[Prompt]) -> None:
        masks = [p.mask_rle for p in prompts if p.mask_rle is not None]
        if masks:
            shown = torch.from_numpy(rle.decode(masks[0], *self._shot.display_px))
            self._session.add_mask_inputs(self._index, position, shown[None, None].float())
        else:
            self._session.add_point_inputs(self._index, position, self._points(prompts))
        self._session.obj_with_new_inputs = [0]
        with _recorded_ious(self._model) as ious:
            self._model(self._session, position)
        self._ious[position] = float("nan") if masks else ious[-1]

    def _points(self, prompts: Sequence[Prompt]) -> dict[str, Tensor]:
        points = [xy for p in prompts if p.box_xyxy for xy in (p.box_xyxy[:2], p.box_xyxy[2:])]
        labels = [2, 3] * (len(points) // 2)
        points += [xy for p in prompts for xy in p.points_xy]
        labels += [label for p in prompts for label in p.point_labels]
        height, width = self._shot.display_px
        scaled = torch.tensor(points) / torch.tensor([width, height]) * self._model.image_size
        return {
            "point_coords": scaled[None, None],
            "point_labels": torch.tensor(labels, dtype=torch.int32)[None, None],
        }

    def _correct(self, position: int, prompts: Sequence[Prompt]) -> None:
        """Refine a tracked mask as facebookresearch/sam3 does; transformers has no such function.

        From the mask and the image, without memory, and as a conditioning frame
        (sam3_tracking_predictor.py, `add_new_points_or_box`).
        """
        model, outputs = self._model, self._session.output_dict_per_obj[self._index]
        tracked = outputs["non_cond_frame_outputs"].pop(position)
        points = self._points(prompts)
        levels, _ = model._prepare_vision_features(self._session, position, 1)
        levels = [*levels[:-1], levels[-1] + model.no_memory_embedding]
        sides = zip(levels, (4 * GRID, 2 * GRID, GRID), strict=True)
        refined = model._single_frame_forward(
            input_points=points["point_coords"],
            input_labels=points["point_labels"],
            input_masks=tracked["pred_masks"].clamp(-32, 32),
            image_embeddings=[x.permute(1, 2, 0).unflatten(2, (side, side)) for x, side in sides],
            multimask_output=model._use_multimask(is_init_cond_frame=False, point_inputs=points),
        )
        outputs["cond_frame_outputs"][position] = {
            "pred_masks": refined.pred_masks,
            "object_pointer": refined.object_pointer,
            "object_score_logits": refined.object_score_logits,
        }
        model._batch_encode_memories(
            self._session,
            position,
            [self._index],
            [refined.high_res_masks],
            [refined.object_score_logits],
            [True],
        )
        self._ious[position] = refined.iou_scores.max().item()


class _recorded_ious:  # noqa: N801 (used as a context manager)
    """Records the predicted IoUs of a model, which sessions discard."""

    def __init__(self, model: Sam3TrackerVideoModel) -> None:
        self._model, self._plain = model, model._single_frame_forward
        self._ious: list[float] = []

    def __enter__(self) -> list[float]:
        self._model._single_frame_forward = self._record
        return self._ious

    def __exit__(self, *_: object) -> None:
        del self._model._single_frame_forward

    def _record(self, *args: Any, **kwargs: Any) -> Any:
        output = self._plain(*args, **kwargs)
        self._ious.append(output.iou_scores.max().item())
        return output


def _perturbed(model: Sam3TrackerVideoModel) -> Sam3TrackerVideoModel:
    """Perturb each weight in place, as `tests.models.sam2.pair.perturb` does."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = parameter.std().item() if parameter.dim() > 1 else 0.0
            scale = 1.5 * spread if spread > 1e-3 else 0.2
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
            if "memory_attention" in name and "cross_attn" in name and parameter.dim() > 1:
                parameter.mul_(2)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.add_(3.0)
        table = model.prompt_encoder.shared_embedding.positional_embedding
        model.shared_image_embedding.positional_embedding.copy_(table)
    return model
