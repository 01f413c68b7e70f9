"""Clips for torch: the right frames, with their masks and boxes."""

import pickle
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pyarrow.dataset import field
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from pvtt_flow import open_dataset
from pvtt_flow.dataset.maintenance.row_updates import mark_gone
from pvtt_flow.errors import DataError
from tests.readers.sample_dataset import (
    ABSENT,
    NUM_FRAMES,
    STRIDE,
    Processed,
    box_of,
    largest_of,
    mask_of,
    processed,
)
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, number_of

if TYPE_CHECKING:
    from tests.conftest import S3Server

Sample = dict[str, Any]


def check(sample: Sample) -> None:
    """A sample's indices and times must be those of its frames."""
    indices = sample["frame_index"].tolist()
    object_id = int(sample["label"][-1])
    pictures = sample["frames"].permute(0, 2, 3, 1).numpy()
    assert pictures.shape == (len(indices), HEIGHT_PX, WIDTH_PX, 3)
    assert [number_of(picture) for picture in pictures] == indices
    assert sample["pts_ns"].tolist() == [40_000_000 * index for index in indices]
    masks = [mask_of(object_id, index) for index in indices]
    assert np.array_equal(sample["masks"].numpy(), masks)
    assert sample["present"].tolist() == [index != ABSENT for index in indices]
    for name, expected in (("boxes_xyxy", box_of), ("largest_fragment_box_xyxy", largest_of)):
        boxes = [expected(object_id, i) if i != ABSENT else (0, 0, 0, 0) for i in indices]
        assert sample[name].tolist() == [list(map(float, box)) for box in boxes]


def names(samples: Iterable[Sample]) -> list[tuple[str, int]]:
    """Each clip's masklet and first frame."""
    return sorted((sample["masklet_id"], int(sample["frame_index"][0])) for sample in samples)


def test_by_number(dataset: Processed) -> None:
    clips = open_dataset(dataset.uri).clips(6, stride=2, hop=3)
    # 20 frames, 11 from a clip's first to its last: they start at 0, 3, 6 and 9.
    assert len(clips) == 3 * 4
    samples = [clips[number] for number in range(len(clips))]
    for sample in samples:
        check(sample)
    assert {start for _, start in names(samples)} == {STRIDE * start for start in (0, 3, 6, 9)}
    assert len(set(names(samples))) == 12
    check(clips[-1])
    with pytest.raises(IndexError, match="clip must be below 12, got 12"):
        clips[12]


def test_whole_masklets_that_match(dataset: Processed) -> None:
    good = (field("verdict") == "accept") & (field("qc", "presence") > 0.5)
    clips = open_dataset(dataset.uri).clips(where=good)
    assert [clips[n]["masklet_id"] for n in range(len(clips))] == [
        "a/s0000@0/o000",
        "a/s0000@0/o001",
    ]
    assert clips[1]["frame_index"].tolist() == list(range(0, NUM_FRAMES, STRIDE))
    check(clips[1])
    none = open_dataset(dataset.uri).clips(where=field("verdict") == "review")
    assert len(none) == 0
    assert list(none.stream()) == []


def test_masklets_that_are_too_short_are_counted(dataset: Processed) -> None:
    clips = open_dataset(dataset.uri).clips(21)
    assert len(clips) == 0
    assert clips.index.num_too_short == 3


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_that_shuffles(dataset: Processed, num_workers: int) -> None:
    clips = open_dataset(dataset.uri).clips(5)
    loader = DataLoader(clips, batch_size=4, shuffle=True, num_workers=num_workers)
    batches = list(loader)
    assert [batch["frames"].shape[0] for batch in batches] == [4, 4, 4]
    assert batches[0]["masks"].shape == (4, 5, HEIGHT_PX, WIDTH_PX)
    starts = [int(first) for batch in batches for first in batch["frame_index"][:, 0]]
    assert sorted(starts) == sorted([0, 10, 20, 30] * 3)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_stream_has_every_clip_once(dataset: Processed, num_workers: int) -> None:
    clips = open_dataset(dataset.uri).clips(4, stride=2, hop=3)
    stream = DataLoader(clips.stream(), batch_size=None, num_workers=num_workers)
    samples = list(stream)
    for sample in samples:
        check(sample)
    assert names(samples) == names(clips[number] for number in range(len(clips)))


def test_workers_read_from_a_bucket(s3: "S3Server", tmp_path: Path) -> None:
    """Also those that are forked from a process which has connections."""
    clips = open_dataset(processed(tmp_path, s3).uri).clips(5)
    for source in (clips, clips.stream()):
        samples = list(DataLoader(source, batch_size=None, num_workers=2))
        assert names(samples) == names(clips[number] for number in range(len(clips)))
        for sample in samples:
            check(sample)


def test_ranks_share_a_stream(dataset: Processed) -> None:
    clips = open_dataset(dataset.uri).clips(5)
    shares = [names(clips.stream(shuffle=True, ranks=(rank, 2))) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == names(clips.stream())
    assert all(len({masklet.split("/")[0] for masklet, _ in share}) == 1 for share in shares)


def test_ranks_that_torchrun_tells(dataset: Processed, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = open_dataset(dataset.uri).clips(5)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert names(clips.stream()) == names(clips.stream(ranks=(1, 2)))


def test_epochs_have_orders_of_their_own(dataset: Processed) -> None:
    stream = open_dataset(dataset.uri).clips().stream(shuffle=True, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    orders = []
    for epoch in (0, 1, 2, 3, 4, 5, 0):
        stream.set_epoch(epoch)
        orders.append([sample["video_id"] for sample in loader])
    assert orders[0] == orders[-1]
    assert {order[0] for order in orders} == {"a", "b"}


def test_transforms_move_frames_masks_and_boxes_together(dataset: Processed) -> None:
    halved = v2.Resize((HEIGHT_PX // 2, WIDTH_PX // 2))
    clip = open_dataset(dataset.uri).clips(2, transform=halved)[0]
    assert clip["frames"].shape == (2, 3, HEIGHT_PX // 2, WIDTH_PX // 2)
    assert clip["masks"].shape == (2, HEIGHT_PX // 2, WIDTH_PX // 2)
    for name in ("boxes_xyxy", "largest_fragment_box_xyxy"):
        assert clip[name][1].tolist() == [edge / 2 for edge in box_of(0, STRIDE)]
    top, left = 5, 1
    assert clip["masks"][1, top : top + 4, left : left + 6].all()
    assert clip["masks"][1].sum() == 24


def test_clips_can_be_pickled(dataset: Processed) -> None:
    clips = open_dataset(dataset.uri).clips(3)
    travelled = pickle.loads(pickle.dumps(clips))  # noqa: S301
    assert torch.equal(travelled[2]["frames"], clips[2]["frames"])


def test_copies_elsewhere(tmp_path: Path) -> None:
    made = processed(tmp_path)
    moved = made.videos.rename(tmp_path / "moved")
    clips = open_dataset(made.uri).clips(3, resolve_uri=lambda uri: f"{moved}/{Path(uri).name}")
    check(clips[0])
    with pytest.raises(DataError, match=r"no file at .*a.mp4") as caught:
        open_dataset(made.uri).clips(3, where=field("video_id") == "a")[0]
    assert caught.value.kind == "unreadable"


def test_training_goes_on_when_a_source_is_gone(tmp_path: Path) -> None:
    made = processed(tmp_path)
    (made.videos / "a.mp4").unlink()
    mark_gone(made.uri, gone=["a"], returned=[], at_ns=1, run_id="r2")
    clips = open_dataset(made.uri).clips(4, stride=2)
    batches = list(DataLoader(clips, batch_size=None, shuffle=True))
    assert {sample["video_id"] for sample in batches} == {"b"}
    assert names(batches) == names(clips.stream())
    with pytest.raises(DataError, match=r"no file at .*a.mp4"):
        list(open_dataset(made.uri, include_gone=True).clips(4, stride=2).stream())


def test_a_source_that_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = processed(tmp_path)
    # Another file of another length, as when someone uploads a new cut.
    shutil.copy(Path(__file__).parents[2] / "pvtt_flow/samples/one_product.mp4",
                made.videos / "a.mp4")  # fmt: skip
    clips = open_dataset(made.uri).clips(5)
    changed = (
        r"a.mp4 must be the video that was processed \(\d+ bytes, etag .*\), got \d+ bytes, etag"
    )
    with pytest.raises(DataError, match=changed) as caught:
        [clips[number] for number in range(len(clips))]
    assert caught.value.kind == "source_changed"
    with pytest.raises(DataError, match=changed):
        list(clips.stream())
    rest = list(clips.stream(strict=False))
    assert {sample["video_id"] for sample in rest} == {"b"}
    assert len(rest) == 4
    assert "the rest of a video is skipped: " in caplog.text
