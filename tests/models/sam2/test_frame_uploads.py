"""Images that are copied to the device ahead; its streams are made up."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import Mock, call

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pvtt_flow.models.sam2.frame_image import FrameImage, UploadedImage, stack_images
from pvtt_flow.models.sam2.frame_uploads import FrameUploads, input_on_device, num_places
from pvtt_flow.models.sam2.model_input import ModelInput, resize_to_square
from pvtt_flow.models.sam2.prefetch import PREFETCH_FRAMES, FramePrefetcher
from pvtt_flow.models.sam2.prompt_encoding import MaskFormat
from pvtt_flow.types import Frame
from tests.models.sam2.shots import frame
from tests.models.sam2.wait_until import Notifier

CPU = torch.device("cpu")
SIZE_PX = 16
INPUT = ModelInput(SIZE_PX, MaskFormat(SIZE_PX))


def picture(seed: int = 0, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def copy(rgb: NDArray[np.uint8], size_px: int) -> torch.Tensor:
    return torch.from_numpy(resize_to_square(rgb, size_px).copy())


@pytest.mark.parametrize("resizes", [False, True])
def test_uploaded_images_have_the_same_bytes(*, resizes: bool) -> None:
    """Also those that have the model's size already, as in a backward pass."""
    there = input_on_device(INPUT, CPU, resizes=resizes, uploads=True)
    for rgb in (picture(), picture(1, SIZE_PX, SIZE_PX)):
        uploaded = there.next_image(rgb)
        assert isinstance(uploaded, UploadedImage)
        assert np.array_equal(uploaded.wait().numpy(), INPUT.image(rgb))


def test_without_uploads_images_stay_on_the_host() -> None:
    assert isinstance(INPUT.next_image(picture()), np.ndarray)
    here = input_on_device(INPUT, CPU, resizes=True, uploads=False)
    assert isinstance(here.next_image(picture()), np.ndarray)


def test_the_number_of_uploaded_images_is_limited() -> None:
    uploads = FrameUploads(copy, 2)
    images = [uploads(picture(), SIZE_PX) for _ in range(3)]
    assert [image is None for image in images] == [False, False, True]
    assert uploads.num_places == 0
    del images[0]
    assert uploads.num_places == 1
    assert uploads(picture(), SIZE_PX) is not None, "and its image is gone at once"
    assert (uploads.num_places, uploads.num_failed) == (1, 0)
    assert num_places(CPU, SIZE_PX) > PREFETCH_FRAMES


def test_a_copy_that_fails_leaves_the_image_on_the_host() -> None:
    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("no room\non this device")

    uploads = FrameUploads(full, 2)
    with pytest.warns(RuntimeWarning, match="copied to the device by its step.*failed: no room$"):
        assert uploads(picture(), SIZE_PX) is None
    assert (uploads.num_places, uploads.num_failed) == (2, 1)


def test_images_are_stacked_in_order_wherever_they_are() -> None:
    pictures = [picture(seed, SIZE_PX, SIZE_PX) for seed in range(5)]
    expected = torch.from_numpy(np.stack(pictures))
    assert torch.equal(stack_images(pictures, CPU), expected)
    there = [UploadedImage(copy(each, SIZE_PX)) for each in pictures]
    assert torch.equal(stack_images(there, CPU), expected)
    mixed: list[FrameImage] = [pictures[0], there[1], pictures[2], there[3], there[4]]
    assert torch.equal(stack_images(mixed, CPU), expected)


def test_the_model_waits_for_a_copy_and_the_copys_memory_for_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = Mock()

    @contextmanager
    def on(stream: object) -> Iterator[None]:
        assert stream is done.copies
        done.enter()
        yield
        done.leave()

    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: done.model)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda _, stream: done.is_read_by(stream))

    def copied(rgb: NDArray[np.uint8], size_px: int) -> torch.Tensor:
        done.copy()
        return copy(rgb, size_px)

    image = FrameUploads(copied, 1, done.copies)(picture(), SIZE_PX)
    assert image is not None
    image.wait()
    names = [name for name, _, _ in done.mock_calls]
    assert names == [
        "enter",
        "copy",
        "copies.record_event",
        "leave",
        "model.wait_event",
        "is_read_by",
    ]
    assert done.model.wait_event.call_args == call(done.copies.record_event.return_value)
    assert done.is_read_by.call_args == call(done.model)


def test_a_prefetcher_holds_places_only_for_its_buffer() -> None:
    """Frames that were taken, and those that it stops with, give theirs back."""
    uploads, notifier = FrameUploads(copy, 40), Notifier()

    def frames() -> Generator[tuple[int, Frame]]:
        yield from ((i, frame(i, picture(i))) for i in range(100))

    there = replace(INPUT, upload=uploads)
    prefetcher = FramePrefetcher(frames, there.next_image, notifier)
    prefetcher.start()
    for _ in range(30):
        notifier.wait_until(lambda: prefetcher.num_buffered == PREFETCH_FRAMES)
        # One more may wait for room in the buffer.
        assert 40 - uploads.num_places <= PREFETCH_FRAMES + 1
        prefetcher.pop()
    prefetcher.stop()
    notifier.wait_until(lambda: prefetcher.finished)
    notifier.wait_until(lambda: uploads.num_places == 40)
