"""Forms in which state dicts of SAM 2 are saved."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pvtt_flow.errors import ConfigError
from pvtt_flow.models.checkpoints import embedded_file
from pvtt_flow.models.sam2.official import build_predictor
from pvtt_flow.models.sam2.state_dict import read_state_dict

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    saved: dict[str, dict[str, Tensor]] = torch.load(
        embedded_file("sam2_embedded.pt"), weights_only=True
    )
    return saved["model"]


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("container", [None, "model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.sam2."])
def test_containers_and_prefixes(
    tmp_path: Path, state: dict[str, Tensor], container: str | None, prefix: str
) -> None:
    inner = prefixed(state, prefix)
    saved = inner if container is None else {container: inner, "optimizer": {"lr": 0.1}}
    torch.save(saved, tmp_path / "mine.pt")
    read = read_state_dict(tmp_path / "mine.pt")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_safetensors(tmp_path: Path, config: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    loaded = build_predictor(path, config, CPU).state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(
    tmp_path: Path, config: Path, state: dict[str, Tensor], dtype: torch.dtype
) -> None:
    torch.save({name: value.to(dtype) for name, value in state.items()}, tmp_path / "half.pt")
    loaded = build_predictor(tmp_path / "half.pt", config, CPU).state_dict()
    for name, value in state.items():
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], value.to(dtype).float())


def test_broken_files(tmp_path: Path, config: Path, state: dict[str, Tensor]) -> None:
    whole = embedded_file("sam2_embedded.pt").read_bytes()
    pickled = tmp_path / "pickled.safetensors"
    pickled.write_bytes(whole)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[:-100])
    empty = tmp_path / "empty.pt"
    torch.save({}, empty)
    mixed = tmp_path / "mixed.pt"
    torch.save({**state, "epoch": 3}, mixed)
    for path in (pickled, cut, empty, mixed, tmp_path / "missing.safetensors"):
        with pytest.raises(ConfigError) as caught:
            build_predictor(path, config, CPU)
        assert str(caught.value).startswith("$.tracker.weights must be a SAM 2 checkpoint, ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(
    tmp_path: Path, state: dict[str, Tensor], number: float
) -> None:
    name = "memory_attention.norm.bias"
    broken = state | {name: state[name].clone()}
    broken[name][3] = number
    torch.save({"model": broken}, tmp_path / "mine.pt")
    with pytest.raises(ConfigError, match=f"got NaN or infinity in {name}$"):
        read_state_dict(tmp_path / "mine.pt")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vision_encoder.backbone.x": torch.zeros(1)}, "with the names of transformers; take the"),
        ({"another": torch.zeros(1)}, "Unexpected key"),
        ({"no_mem_embed": torch.zeros(3)}, "size mismatch for no_mem_embed"),
    ],
)
def test_names_and_shapes_of_others(
    tmp_path: Path, config: Path, state: dict[str, Tensor], change: dict[str, Any], words: str
) -> None:
    torch.save({"model": state | change}, tmp_path / "mine.pt")
    with pytest.raises(ConfigError, match=words) as caught:
        build_predictor(tmp_path / "mine.pt", config, CPU)
    assert "\n" not in str(caught.value)
