"""Training of the compact SAM 2, on a tiny model and a fixed batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.corpus import Shard
from pvtt_flow.training.segmenter.batch import jitter_box
from pvtt_flow.training.segmenter.loss import frame_loss, mask_iou
from pvtt_flow.training.segmenter.model import build
from pvtt_flow.training.segmenter.optimizers import learning_rate_share
from pvtt_flow.training.segmenter.track import Prediction
from pvtt_flow.training.segmenter.train import Stage, Trainer

RECIPE = (Stage(3, num_frames=1, num_clips=1, max_pairs=2), Stage(9, 3, num_clips=1, max_pairs=1))


def new_trainer(seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(build(), RECIPE)


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
    batch = trainer.batch(shards)
    losses = [float(trainer.step(batch)[0].total.detach()) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_a_resumed_trainer_gets_the_weights_of_an_uninterrupted_one(
    shards: list[Shard], tmp_path: Path
) -> None:
    uninterrupted = new_trainer()
    for _ in range(2):
        uninterrupted.step(uninterrupted.batch(shards))
    save(uninterrupted, tmp_path / "checkpoint.pt")
    resumed = new_trainer(seed=1)
    assert resume(resumed, tmp_path / "checkpoint.pt")
    for trainer in (uninterrupted, resumed):
        for _ in range(2):
            trainer.step(trainer.batch(shards))
    assert resumed.iteration == 4
    for name, value in uninterrupted.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
        assert torch.equal(uninterrupted.average.state[name], resumed.average.state[name]), name


def test_stages_run_in_order_and_the_learning_rate_decays() -> None:
    trainer = new_trainer()
    lengths = []
    for trainer.iteration in (0, 2, 3, 11):
        lengths.append(trainer.stage().num_frames)
    assert lengths == [1, 1, 3, 3]
    rates = [learning_rate_share(iteration, 1000, 300) for iteration in range(1000)]
    assert rates[0] < rates[400] == 1.0
    assert rates[-1] == pytest.approx(0.02)


def test_an_absent_product_adds_no_mask_loss() -> None:
    prediction = Prediction(torch.full((1, 4, 8, 8), 5.0), torch.ones(1, 4), torch.tensor([[-9.0]]))
    loss = frame_loss(prediction, torch.zeros(1, 32, 32), prompted=False)
    assert float(loss.total) == pytest.approx(0.0, abs=1e-3)
    assert not loss.present.any()


def test_mask_iou_equals_values_computed_by_hand() -> None:
    mask, truth = (
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
    )
    mask[0, 0, 0], truth[0, 0, :, 0] = True, True
    assert mask_iou(mask, truth).tolist() == [[pytest.approx(1 / 3), 1.0]]


def test_jittered_boxes_stay_near_the_mask() -> None:
    mask = np.zeros((128, 128), bool)
    mask[40:80, 50:110] = True
    for seed in range(50):
        box = jitter_box(np.random.default_rng(seed), mask)
        assert (np.abs(box - [50, 40, 110, 80]) <= [12, 8, 12, 8]).all()
