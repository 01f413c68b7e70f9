"""Training of the compact SAM 2, on a tiny model and a fixed batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pvtt_flow.training.checkpoint import resume, save
from pvtt_flow.training.corpus import Shard
from pvtt_flow.training.segmenter.batch import jittered_box
from pvtt_flow.training.segmenter.loss import frame_loss, overlap
from pvtt_flow.training.segmenter.model import build
from pvtt_flow.training.segmenter.optimise import rate
from pvtt_flow.training.segmenter.track import Prediction
from pvtt_flow.training.segmenter.train import Stage, Trainer

RECIPE = (Stage(3, num_frames=1, num_clips=1, max_pairs=2), Stage(9, 3, num_clips=1, max_pairs=1))


def trainer(seed: int = 0) -> Trainer:
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
    this = trainer()
    batch = this.batch(shards)
    losses = [float(this.step(batch)[0].total.detach()) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_a_resumed_run_goes_on_bit_for_bit(shards: list[Shard], tmp_path: Path) -> None:
    whole = trainer()
    for _ in range(2):
        whole.step(whole.batch(shards))
    save(whole, tmp_path / "checkpoint.pt")
    other = trainer(seed=1)
    assert resume(other, tmp_path / "checkpoint.pt")
    for this in (whole, other):
        for _ in range(2):
            this.step(this.batch(shards))
    assert other.iteration == 4
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
        assert torch.equal(whole.average.state[name], other.average.state[name]), name


def test_stages_follow_each_other_and_the_rate_comes_down() -> None:
    this = trainer()
    lengths = []
    for this.iteration in (0, 2, 3, 11):
        lengths.append(this.stage().num_frames)
    assert lengths == [1, 1, 3, 3]
    rates = [rate(iteration, 1000, 300) for iteration in range(1000)]
    assert rates[0] < rates[400] == 1.0
    assert rates[-1] == pytest.approx(0.02)


def test_an_absent_product_costs_only_its_presence() -> None:
    said = Prediction(torch.full((1, 4, 8, 8), 5.0), torch.ones(1, 4), torch.tensor([[-9.0]]))
    loss = frame_loss(said, torch.zeros(1, 32, 32), prompted=False)
    assert float(loss.total) == pytest.approx(0.0, abs=1e-3)
    assert not loss.present.any()


def test_overlap_by_hand() -> None:
    mask, truth = (
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
        torch.zeros(1, 2, 2, 2, dtype=torch.bool),
    )
    mask[0, 0, 0], truth[0, 0, :, 0] = True, True
    assert overlap(mask, truth).tolist() == [[pytest.approx(1 / 3), 1.0]]


def test_prompts_stay_near_their_product() -> None:
    mask = np.zeros((128, 128), bool)
    mask[40:80, 50:110] = True
    for seed in range(50):
        box = jittered_box(np.random.default_rng(seed), mask)
        assert (np.abs(box - [50, 40, 110, 80]) <= [12, 8, 12, 8]).all()
