"""Work on a Ray cluster, through a real one of this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pvtt_flow.errors import StoreError
from pvtt_flow.export import export
from pvtt_flow.pipeline.ray_session import connect_to_ray
from pvtt_flow.pipeline.remote_map import map_on_ray
from tests.readers.sample_dataset import NUM_FRAMES, STRIDE, processed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    with connect_to_ray():
        yield


class Divide:
    """Divides 60 by an item, in another process."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __call__(self, item: int) -> float:
        assert os.getpid() != self.home
        if item == 0:
            raise StoreError("the store is full")
        return 60 / item


@pytest.mark.usefixtures("_cluster")
def test_all_items_once_and_the_functions_own_error() -> None:
    divide = Divide()
    assert sorted(map_on_ray(divide, range(1, 7))) == [10, 12, 15, 20, 30, 60]
    assert list(map_on_ray(divide, [])) == []
    with pytest.raises(StoreError, match=r"^the store is full$"):
        list(map_on_ray(divide, [3, 0, 2]))


@pytest.mark.usefixtures("_cluster")
def test_an_export_in_tasks_equals_one_in_threads(tmp_path: Path) -> None:
    dataset = processed(tmp_path)
    for name, map_units in (("threads", None), ("tasks", map_on_ray)):
        export(dataset.uri, "davis", str(tmp_path / name), map_units=map_units)
    sums = [(tmp_path / name / "checksums.sha256").read_text() for name in ("threads", "tasks")]
    assert len(sums[0].splitlines()) == 1 + 4 * NUM_FRAMES // STRIDE
    assert sums[0] == sums[1]
