"""EfficientTAM: the engine gives the masks of a plain run of its modules, and of its package."""

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pvtt_flow.models.factory import tracker_config
from pvtt_flow.models.sam2.architectures.efficienttam import EFFICIENTTAM
from pvtt_flow.models.sam2.architectures.pooled_attention import PooledAttention
from pvtt_flow.models.sam2.architectures.shipped_configs import shipped_configs
from pvtt_flow.models.sam2.compile import Compiler
from pvtt_flow.models.sam2.model import Sam2
from pvtt_flow.models.sam2.official import build_predictor, find_architecture
from pvtt_flow.models.sam2.warm_up import warm_up
from pvtt_flow.models.tracker import TrackerParams
from tests.models.sam2.architectures import pooled_forward
from tests.models.sam2.compare import Difference, compare, outputs_by_object
from tests.models.sam2.float32_memories import float32_memories
from tests.models.sam2.official import OfficialTracker
from tests.models.sam2.pair import make_pair, perturb
from tests.models.sam2.run_scheduler import run
from tests.models.sam2.shots import OFF, ON, Shot, clicks, mask_of, shot, square_box
from tests.models.sam2.small_predictor import small_config, small_predictor

SIZE_PX = 128
LOCK = Path(__file__).with_name("efficienttam.lock")
PROCESS = "tests.models.sam2.architectures.reference_process"
UV = Path(sys.executable).with_name("uv")


def ragged_shots() -> list[Shot]:
    """Make shots whose objects read from one memory, from several, and from two prompted ones."""
    return [
        shot(4, square_box(0, 0), (0, mask_of(1, 0))),
        shot(6, square_box(0, 0), (2, clicks(1, (26, 30, ON), (80, 60, OFF)))),
        shot(3, square_box(0, 0), (2, clicks(0, (30, 30, ON), correction=True))),
        shot(5, square_box(0, 0), square_box(0, 3)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficienttam_ti", "efficienttam_ti_1", "efficienttam_ti_2"])
def test_ragged_shots_have_the_masks_of_each_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PooledAttention, "forward", pooled_forward.forward)
    predictor = perturb(small_predictor(shipped_configs()[name], tmp_path, SIZE_PX))
    pair = make_pair(predictor, EFFICIENTTAM)
    assert pair.model.pools_memories == (name != "efficienttam_ti")
    difference = pair.difference(ragged_shots(), "both").check()
    assert difference.num_outputs == 8 + 12 + 3 + 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficienttam_ti", "efficienttam_ti_1"])
def test_nothing_is_compiled_after_the_warm_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PooledAttention, "forward", pooled_forward.forward)
    predictor = perturb(small_predictor(shipped_configs()[name], tmp_path, SIZE_PX))
    compiler = Compiler(torch.device("cpu"), "eager")
    model = Sam2(copy.deepcopy(predictor), compiler, architecture=EFFICIENTTAM)
    official, shots = OfficialTracker(predictor), ragged_shots()
    with float32_memories(), torch.inference_mode():
        warm_up(model, 4, torch.float32)
        # Images, a step and its memories, each for a batch of one and for larger ones.
        assert compiler.num_graphs == 6
        for each, results in zip(shots, run(model, shots, "both"), strict=True):
            compare(outputs_by_object(each, results), official.track(each, "both")).check()
    assert (compiler.num_graphs, compiler.num_uncompiled_calls) == (6, 0)


def test_each_config_is_found_by_its_name_and_architecture() -> None:
    for name, path in shipped_configs().items():
        assert tracker_config(TrackerParams(weights="mine.safetensors", config=name)) == path
        assert find_architecture(path).name in name


@pytest.fixture(scope="module")
def official_package() -> Iterator[Path]:
    """Folder with the official implementation, which calls itself `sam2` too."""
    if not UV.exists():
        pytest.skip("needs uv beside Python, where `make install` puts it")
    with tempfile.TemporaryDirectory(prefix="efficienttam-") as folder:
        install = f"pip install --quiet --no-deps --require-hashes --python {sys.executable}"
        into = ("--target", folder, "--requirements", str(LOCK))
        subprocess.run([str(UV), *install.split(), *into], check=True)
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficienttam_s", "efficienttam_ti_1", "efficienttam_ti_2"])
def test_masks_are_those_of_the_official_package(
    name: str, tmp_path: Path, official_package: Path
) -> None:
    config = small_config(shipped_configs()[name], tmp_path, SIZE_PX)
    torch.manual_seed(0)
    predictor = perturb(build_predictor(None, config, torch.device("cpu")))
    shots = ragged_shots()
    request = {"weights": predictor.state_dict(), "shots": shots, "direction": "both"}
    torch.save(request, tmp_path / "request.pt")
    files = (str(config), str(tmp_path / "request.pt"), str(tmp_path / "answer.pt"))
    path = os.pathsep.join([str(official_package), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-m", PROCESS, *files], env=env, check=True)
    expected = torch.load(tmp_path / "answer.pt", weights_only=False)

    with float32_memories():
        results = run(Sam2(predictor, architecture=EFFICIENTTAM), shots, "both")
    actual = list(map(outputs_by_object, shots, results))
    difference = sum(map(compare, actual, expected), Difference()).check()
    assert difference.num_outputs == 8 + 12 + 3 + 5
