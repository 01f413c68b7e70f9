"""Training of the compact SAM 2, on a tiny model and a fixed batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.corpus import Shard
from pvtt_flow.training.segmenter.batch import ZOOM, Batch, move_camera, sample_batch
from pvtt_flow.training.segmenter.batches import Batches, draw
from pvtt_flow.training.segmenter.loss import Loss, frame_loss, mask_iou
from pvtt_flow.training.segmenter.model import WEIGHTS, build
from pvtt_flow.training.segmenter.optimizers import learning_rate_share
from pvtt_flow.training.segmenter.prompts import PromptPlan
from pvtt_flow.training.segmenter.recipe import Recipe, Stage
from pvtt_flow.training.segmenter.track import Output, Prediction, track
from pvtt_flow.training.segmenter.train import (
    Setup,
    Step,
    Trainer,
    checkpoint_of,
    summary,
    train_segmenter,
)

RECIPE = Recipe(
    128, (Stage(3, num_frames=1, num_clips=1, num_pairs=2), Stage(9, 3, num_clips=1, num_pairs=1))
)


def new_trainer(seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(build(side_px=RECIPE.side_px), RECIPE)


def next_batch(trainer: Trainer, shards: list[Shard]) -> Batch:
    return Batches(trainer.recipe, shards, trainer.seed, 0, 1)[trainer.iteration]


@pytest.fixture
def shards() -> list[Shard]:
    rng = np.random.default_rng(0)
    labels = np.zeros((2, 4, 128, 128), np.uint8)
    labels[:, :, 20:70, 30:90] = 1
    labels[:, :, 80:120, 10:60] = 2
    palette = rng.integers(0, 256, (3, 3), np.uint8)
    return [Shard(palette[labels], labels, np.ones(2, np.uint8))]


def test_steps_on_a_fixed_batch_reduce_its_loss(shards: list[Shard]) -> None:
    trainer = new_trainer()
    batch = next_batch(trainer, shards)
    losses = [float(trainer.step(batch).losses[0, False].total.detach()) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_a_resumed_trainer_gets_the_weights_of_an_uninterrupted_one(
    shards: list[Shard], tmp_path: Path
) -> None:
    uninterrupted = new_trainer()
    for _ in range(2):
        uninterrupted.step(next_batch(uninterrupted, shards))
    save(uninterrupted, tmp_path / "checkpoint.pt")
    resumed = new_trainer(seed=1)
    assert resume(resumed, tmp_path / "checkpoint.pt")
    for trainer in (uninterrupted, resumed):
        for _ in range(2):
            trainer.step(next_batch(trainer, shards))
    assert resumed.iteration == 4
    for name, value in uninterrupted.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
        assert torch.equal(uninterrupted.average.state[name], resumed.average.state[name]), name


def test_batches_are_the_same_drawn_ahead_by_other_processes(shards: list[Shard]) -> None:
    for batch, ahead in zip(
        *(draw(RECIPE, shards, 5, range(2, 5), num_workers) for num_workers in (0, 2)), strict=True
    ):
        assert batch.plan == ahead.plan
        assert torch.equal(batch.images, ahead.images)
        assert torch.equal(batch.masks, ahead.masks)


def test_a_recipe_is_scaled_in_iterations_and_clips() -> None:
    recipe = RECIPE.scaled(1 / 3, clips=8)
    assert recipe.stages == (Stage(1, 1, num_clips=8, num_pairs=16), Stage(3, 3, 8, num_pairs=8))
    assert recipe.num_iterations == 4


def test_weights_for_another_size_do_not_replace_the_shipped_ones(tmp_path: Path) -> None:
    before = WEIGHTS.read_bytes()
    recipe = replace(RECIPE, side_px=64)
    save(Trainer(build(side_px=64), recipe), checkpoint_of(tmp_path, 64))
    said: list[str] = []
    train_segmenter(tmp_path, recipe, Setup(), report=said.append, export_only=True)
    (line,) = said
    assert line.startswith(
        "sam2_embedded.pt is unchanged: sam2_embedded.yaml is for images of 256 px; set image_size "
        "to 64"
    )
    assert WEIGHTS.read_bytes() == before


def test_a_run_without_a_checkpoint_exports_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"segmenter_128\.pt must exist; train first"):
        train_segmenter(tmp_path, RECIPE, Setup(), report=print, export_only=True)


def test_stages_run_in_order_and_the_learning_rate_decays() -> None:
    trainer = new_trainer()
    stages = [trainer.recipe.stage(iteration) for iteration in (0, 2, 3, 11)]
    assert [stage.num_frames for stage in stages] == [1, 1, 3, 3]
    rates = [learning_rate_share(iteration, 1000, 300) for iteration in range(1000)]
    assert rates[0] < rates[400] == 1.0
    assert rates[-1] == pytest.approx(0.02)


def test_an_absent_product_adds_no_mask_loss() -> None:
    prediction = Prediction(torch.full((1, 4, 8, 8), 5.0), torch.ones(1, 4), torch.tensor([[-9.0]]))
    loss = frame_loss(prediction, torch.zeros(1, 32, 32), is_single=False)
    assert float(loss.total) == pytest.approx(0.0, abs=1e-3)
    assert not loss.present.any()


def test_mask_iou_equals_values_computed_by_hand() -> None:
    mask, truth = (
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
    )
    mask[0, 0, 0], truth[0, 0, :, 0] = True, True
    assert mask_iou(mask, truth).tolist() == [[pytest.approx(1 / 3), 1.0]]


def outputs_of(plan: PromptPlan, shards: list[Shard]) -> list[Output]:
    torch.manual_seed(0)
    batch = sample_batch(
        np.random.default_rng(0), shards, plan, num_clips=1, num_frames=4, num_pairs=2
    )
    with torch.no_grad():
        return track(build(side_px=RECIPE.side_px).eval(), batch, np.random.default_rng(1))


def test_prompted_frames_are_tracked_first(shards: list[Shard]) -> None:
    outputs = outputs_of(PromptPlan("box", frames=(0, 2)), shards)
    assert [output.frame for output in outputs] == [0, 2, 1, 3]
    assert [output.is_single for output in outputs] == [True, True, False, False]


def test_frames_with_a_mask_prompt_have_no_output(shards: list[Shard]) -> None:
    outputs = outputs_of(PromptPlan("mask", frames=(0, 2)), shards)
    assert [output.frame for output in outputs] == [1, 3]


def test_a_box_asks_for_the_single_mask_and_one_point_for_the_best_candidate(
    shards: list[Shard],
) -> None:
    boxes = outputs_of(PromptPlan("box"), shards)
    assert [output.is_single for output in boxes] == [True, False, False, False]
    assert not outputs_of(PromptPlan("points", num_positive=1), shards)[0].is_single
    assert outputs_of(PromptPlan("points", num_positive=2), shards)[0].is_single


def test_a_click_changes_its_frame_and_those_after_it(shards: list[Shard]) -> None:
    plain = outputs_of(PromptPlan("box"), shards)
    corrected = outputs_of(PromptPlan("box", corrected=2), shards)
    assert [(o.frame, o.is_corrected) for o in corrected] == [
        *((t, False) for t in (0, 1, 2)), (2, True), (3, False)
    ]  # fmt: skip
    for mine, other in zip(plain[:3], corrected[:3], strict=True):
        assert torch.equal(mine.prediction.logits, other.prediction.logits)
    assert not torch.equal(corrected[2].prediction.logits, corrected[3].prediction.logits)
    assert not torch.equal(plain[3].prediction.logits, corrected[4].prediction.logits)


def test_a_click_on_a_prompted_frame_is_added_to_its_prompt(shards: list[Shard]) -> None:
    first, again = outputs_of(PromptPlan("points", corrected=0), shards)[:2]
    assert (first.is_single, again.is_single) == (False, True)
    assert again.frame == 0
    assert again.is_corrected


def test_products_are_visible_on_each_prompted_frame(shards: list[Shard]) -> None:
    shards[0].labels[:, 1:][shards[0].labels[:, 1:] == 2] = 0
    for seed in range(10):
        batch = sample_batch(
            np.random.default_rng(seed), shards, PromptPlan(frames=(0, 3)), num_clips=1,
            num_frames=4, num_pairs=2,
        )  # fmt: skip
        # There is one such product, which is prompted twice.
        assert torch.equal(batch.masks[0], batch.masks[1])
        assert batch.masks.flatten(2).any(2).all()


def test_each_clip_of_a_batch_has_a_prompted_product(shards: list[Shard]) -> None:
    for seed in range(10):
        batch = sample_batch(
            np.random.default_rng(seed), shards, PromptPlan(), num_clips=3, num_frames=2,
            num_pairs=5,
        )  # fmt: skip
        assert batch.clip.tolist()[:3] == [0, 1, 2]
        assert len(batch.clip) == len(batch.masks) == 5
        # Products are prompted twice only where there are too few.
        pairs = list(zip(batch.clip.tolist(), batch.masks.flatten(1).sum(1).tolist(), strict=True))
        assert len(set(pairs)) == 5


def test_a_camera_moves_pictures_and_labels_alike_and_evenly() -> None:
    frames = np.zeros((5, 128, 128, 3), np.uint8)
    frames[:, 50:78, 46:82] = 255
    labels = (frames[..., 0] > 0).astype(np.uint8)
    for seed in range(20):
        moved, moved_labels = move_camera(np.random.default_rng(seed), frames, labels)
        assert moved.shape == frames.shape
        white = moved.min(-1) > 127
        assert np.mean(white != (moved_labels == 1)) < 0.01
        areas = moved_labels.sum((1, 2)) / labels[0].sum()
        assert (areas > ZOOM[0] ** 2 * 0.9).all()
        assert (areas < ZOOM[1] ** 2 * 1.1).all()
        growth = np.diff(areas)
        assert (growth > -0.02).all() or (growth < 0.02).all()


def test_one_frame_may_be_moved() -> None:
    frames, labels = np.zeros((1, 32, 32, 3), np.uint8), np.ones((1, 32, 32), np.uint8)
    assert move_camera(np.random.default_rng(0), frames, labels)[1].shape == (1, 32, 32)


def test_a_line_of_progress_tells_prompts_and_clicks_apart() -> None:
    def loss(j: float, *, present: bool = True) -> Loss:
        return Loss(torch.zeros(1), 0.5, 0.25, torch.tensor([j]), torch.tensor([present]))

    box = {(0, False): loss(0.8), (1, False): loss(0.4), (1, True): loss(0.6)}
    points = {(0, False): loss(0.3), (1, False): loss(1.0, present=False)}
    shorter = {(0, False): loss(0.1)}
    steps = [
        Step(PromptPlan("box"), 1, shorter),
        Step(PromptPlan("box", corrected=1), 2, box),
        Step(PromptPlan("points"), 2, points),
    ]
    line = summary(new_trainer(), steps)
    assert line.startswith("0/12 T=2 mask=0.500 presence=0.250 ")
    assert "box=0.800 points=0.300 J1=0.400 before=0.400 after=0.600" in line
