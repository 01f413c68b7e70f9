"""`models`: which weights there are, where they are, and whether they are the right ones."""

from pathlib import Path

import pytest

from pvtt_flow.models import checkpoints
from tests.cli.terminal import pvtt_flow

TINY = checkpoints.known()["sam2.1_hiera_tiny"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a network that leads nowhere."""
    monkeypatch.setenv("PVTT_FLOW_MODELS", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    return tmp_path


def test_list_tells_names_and_places(folder: Path) -> None:
    (folder / TINY.file_name).write_bytes(b"any")
    ended = pvtt_flow("models", "list")
    assert ended.code == 0
    rows = {
        cells[1].strip(): (cells[4].strip(), cells[5].strip())
        for line in ended.out.splitlines()
        if len(cells := line.split("│")) == 7
    }
    assert rows.keys() == checkpoints.known().keys()
    assert rows["embedded_tracker"] == (
        "AGPL-3.0-or-later",
        str(checkpoints.embedded_file("sam2_embedded.pt")),
    )
    assert rows[TINY.name] == ("Apache-2.0", str(folder / TINY.file_name))
    assert rows["sam2.1_hiera_large"][1].startswith(
        "not here; `pvtt-flow models fetch` downloads it"
    )


def test_fetch_without_a_network_says_what_to_put_where(folder: Path) -> None:
    ended = pvtt_flow("models", "fetch", TINY.name)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {TINY.name}: {TINY.file_name} could not be fetched (")
    assert f"put the file at {folder / TINY.file_name} (sha256 {TINY.sha256};" in ended.err
    assert "Traceback" not in ended.err


def test_fetch_of_what_is_there_verifies_it(folder: Path) -> None:
    ended = pvtt_flow("models", "fetch", "embedded_tracker")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("embedded_tracker: ")
    assert ended.out.endswith("sha256 verified\n")

    (folder / TINY.file_name).write_bytes(b"half of it")
    ended = pvtt_flow("models", "fetch", TINY.name)
    assert ended.code == 2
    assert f"must have sha256 {TINY.sha256}, got " in ended.err


def test_fetch_of_an_unknown_name() -> None:
    ended = pvtt_flow("models", "fetch", "sam3")
    assert ended.code == 2
    assert ended.err.startswith("error: NAME must be one of embedded_tracker, ")
    assert ended.err.endswith("got sam3\n")


def test_verify_finds_the_wrong_file(folder: Path) -> None:
    ended = pvtt_flow("models", "verify")
    assert ended.code == 0
    assert ended.out == "embedded_tracker: ok\nembedded_detector: ok\n"

    wrong = folder / "elsewhere"
    wrong.mkdir()
    (wrong / TINY.file_name).write_bytes(b"other bytes")
    ended = pvtt_flow("models", "verify", "--models", wrong)
    assert ended.code == 1
    assert f"{TINY.name}: {wrong / TINY.file_name} must have sha256 {TINY.sha256}" in ended.out
    assert "embedded_detector: ok" in ended.out
