"""Saved states of shots in the folder of a dataset."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.maintenance.vacuum import vacuum
from pvtt_flow.dataset.unfinished import DamagedStateError, UnfinishedShots, video_folder
from pvtt_flow.errors import StoreError
from pvtt_flow.storage.folder import OutputFolder

if TYPE_CHECKING:
    from tests.conftest import S3Server

ARRAYS: Mapping[str, NDArray[Any]] = {
    "memories": np.arange(600, dtype=np.float32).reshape(2, 3, 100),
    "none": np.empty((0, 4), np.float64),
    "masks": np.array([[True, False]]),
    "bits": np.array([-3, 4], np.int16),
    "text": np.frombuffer(b"{}", np.uint8),
}
PATH = "video/0000-a.safetensors"


@pytest.fixture
def shots(tmp_path: Path) -> UnfinishedShots:
    return UnfinishedShots(str(tmp_path))


def assert_equal(actual: Mapping[str, NDArray[Any]] | None) -> None:
    assert actual is not None
    assert actual.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (actual[name].dtype, actual[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(actual[name], array)


def use(shots: UnfinishedShots) -> None:
    """Save, replace and delete states."""
    assert shots.load(PATH) is None
    shots.remove({"video"})
    shots.save(PATH, {"older": np.zeros(3)})
    shots.save(PATH, ARRAYS)
    shots.save("video/0001-b.safetensors", ARRAYS)
    shots.save("another/0000-c.safetensors", ARRAYS)
    assert_equal(shots.load(PATH))
    shots.remove({"video", "unknown"})
    assert shots.load(PATH) is None
    assert shots.load("video/0001-b.safetensors") is None
    assert_equal(shots.load("another/0000-c.safetensors"))
    assert shots.remove_old(timedelta(hours=1), dry_run=False) == 0
    assert shots.remove_old(timedelta(hours=-1), dry_run=True) == 1
    assert_equal(shots.load("another/0000-c.safetensors"))
    assert shots.remove_old(timedelta(hours=-1), dry_run=False) == 1
    assert shots.load("another/0000-c.safetensors") is None


def test_a_folder(shots: UnfinishedShots) -> None:
    use(shots)
    assert not [path for path in Path(shots.uri).rglob("*") if path.is_file()]


def test_a_bucket(s3: "S3Server") -> None:
    use(UnfinishedShots(f"{s3.bucket()}/data set"))


Damage = Callable[[bytes], bytes]


def with_digest_of_others(data: bytes) -> bytes:
    arrays = load(data)
    return save({**arrays, "masks": ~arrays["masks"]})


DAMAGES: Mapping[str, Damage] = {
    "nothing": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "all but a byte": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "a huge header": lambda data: b"\xff" * 7 + b"\x7f" + data[8:],
    "a flipped bit": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "another type": lambda data: data.replace(b'"I16"', b'"F16"'),
    "text": lambda _: b"not a state at all",
    "a digest of others": with_digest_of_others,
    "no digest": lambda _: save(dict(ARRAYS)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(shots: UnfinishedShots, name: str) -> None:
    shots.save(PATH, ARRAYS)
    file = Path(shots.uri, "unfinished", PATH)
    damaged = DAMAGES[name](file.read_bytes())
    assert damaged != file.read_bytes()
    file.write_bytes(damaged)
    with pytest.raises(DamagedStateError):
        shots.load(PATH)


def test_each_flipped_bit_is_found(shots: UnfinishedShots) -> None:
    shots.save(PATH, {"a": np.arange(3), "b": np.zeros(2, np.float32)})
    file = Path(shots.uri, "unfinished", PATH)
    data = file.read_bytes()
    missed = []
    for at in range(len(data)):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            shots.load(PATH)
        except DamagedStateError:
            continue
        missed.append(at)
    assert not missed


def test_another_content_or_config_has_another_folder() -> None:
    names = {video_folder(*key) for key in (("a", "k"), ("a", "l"), ("b", "k"), ("b", "l"))}
    assert len(names) == 4


def test_vacuum_deletes_old_states(tmp_path: Path) -> None:
    dataset = Dataset(str(tmp_path))
    dataset.ensure()
    shots = UnfinishedShots(dataset.uri)
    for name in ("old", "young"):
        shots.save(f"{name}/0000-a.safetensors", ARRAYS)
    old = tmp_path / "unfinished" / "old" / "0000-a.safetensors"
    days = timedelta(days=9).total_seconds()
    os.utime(old, (old.stat().st_mtime - days,) * 2)
    for dry_run in (True, False):
        assert vacuum(dataset.uri, keep=timedelta(days=7), dry_run=dry_run).num_files == 1
    assert not old.exists()
    assert shots.load("young/0000-a.safetensors") is not None


def test_what_a_killed_process_leaves_goes_with_its_video(
    shots: UnfinishedShots, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots.save(PATH, ARRAYS)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(OutputFolder, "publish", kill)
        with pytest.raises(KeyboardInterrupt):
            shots.save(PATH, {"newer": np.zeros(3)})
    files = [path for path in Path(shots.uri).rglob("*") if path.is_file()]
    assert len(files) == 2
    assert_equal(shots.load(PATH))
    shots.remove({"video"})
    assert not [path for path in files if path.exists()]


def kill(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("what", ["mkdtemp", "write_bytes"])
def test_a_disk_that_refuses_is_a_store_error(
    shots: UnfinishedShots, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile if what == "mkdtemp" else Path, what, refuse)
    with pytest.raises(StoreError, match="a file must be written, but"):
        shots.save(PATH, ARRAYS)


def test_states_that_cannot_be_deleted_stay(
    shots: UnfinishedShots, caplog: pytest.LogCaptureFixture
) -> None:
    Path(shots.uri, "unfinished").write_text("no folder")
    shots.remove({"unfinished"})
    shots.remove({"video"})
    assert "stay until the next vacuum" in caplog.text
