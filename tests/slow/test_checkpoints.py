"""A long shot goes on where it was when its driver or its actors were killed."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pvtt_flow import read_frames
from pvtt_flow.dataset.unfinished import DamagedStateError, UnfinishedShots
from tests.once import made_once
from tests.slow.flow_command import SAMPLES, Shell, kill_if_alive, wait_until, write_config
from tests.slow.tables import Rows, check_consistent, rows_of
from tests.video.clip_maker import encode_images

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NUM_SAMPLE_FRAMES, NUM_FRAMES = 72, 720
# Prompts are late, so that there is a backward pass.
FIRST, SECOND, CORRECTED = 480, 300, 520
SETTINGS = (
    *("--set", "tracker.max_concurrent_shots=1"),
    # Every frame.
    *("--set", "sampling.stride=1"),
)
OFTEN = ("--set", "run.checkpoint_every_s=0.5")
NEVER = ("--set", "run.checkpoint_every_s=null")


@dataclass(frozen=True)
class LongVideo:
    """Input with one long shot, and the tables of a run that nobody disturbed."""

    manifest: Path
    rows: Rows


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> LongVideo:
    return made_once(tmp_path_factory, worker_id, "long_video", make_long_video)


def make_long_video(home: Path) -> LongVideo:
    """Repeat a sample, forth and back, and track two objects through all of it."""
    frames = read_frames(str(SAMPLES / "two_products.mp4"), range(NUM_SAMPLE_FRAMES))
    forth = [frames[i].rgb for i in range(NUM_SAMPLE_FRAMES)]
    images = (forth + forth[::-1]) * (NUM_FRAMES // NUM_SAMPLE_FRAMES // 2)
    video = encode_images(home / "long.mp4", images, options={"preset": "ultrafast"})
    box = {"object_id": 0, "frame": FIRST, "box_xyxy": [310, 90, 410, 220]}
    clicks = {"object_id": 1, "frame": SECOND, "points_xy": [[94, 158], [240, 30]]}
    correction = {"object_id": 0, "frame": CORRECTED, "points_xy": [[360, 150]]}
    row = {
        "uri": str(video),
        "id": "long",
        "shots": [[0, NUM_FRAMES]],
        "prompts": [box, {**clicks, "point_labels": [1, 0]}, {**correction, "correction": True}],
    }
    manifest = home / "manifest.jsonl"
    manifest.write_text(json.dumps(row))
    uri = str(home / "dataset")
    config = write_config(home / "config.yaml", str(manifest), uri)
    ended = Shell.new().run("pvtt-flow", "run", str(config), *SETTINGS, *NEVER)
    assert ended.returncode == 0, ended.stdout
    assert "went on" not in ended.stdout
    assert not Path(uri, "unfinished").exists()
    return LongVideo(manifest, rows_of(uri))


def facts_of(uri: str) -> Mapping[str, Any]:
    """Return what the tracker says in the saved state of the only shot; nothing without one."""
    for path in Path(uri, "unfinished").glob("*/*.safetensors"):
        try:
            arrays = UnfinishedShots(uri).load(f"{path.parent.name}/{path.name}")
        except DamagedStateError as error:
            raise AssertionError("a state must be whole at any instant") from error
        if arrays is not None:
            facts: dict[str, Any] = json.loads(arrays["tracker.facts"].tobytes())
            return facts
    return {}


def is_in_forward_pass(facts: Mapping[str, Any]) -> bool:
    return bool(facts) and not facts["is_backward"] and facts["next_position"] > CORRECTED


def is_in_backward_pass(facts: Mapping[str, Any]) -> bool:
    return bool(facts) and facts["is_backward"]


@pytest.mark.parametrize(
    ("killed", "is_there"), [("driver", is_in_forward_pass), ("actors", is_in_backward_pass)]
)
def test_a_killed_shot_goes_on(
    long_video: LongVideo,
    shell: Shell,
    tmp_path: Path,
    killed: str,
    is_there: Callable[[Mapping[str, Any]], bool],
) -> None:
    uri = str(tmp_path / "dataset")
    config = write_config(tmp_path / "config.yaml", str(long_video.manifest), uri)
    command = ("pvtt-flow", "run", str(config), *SETTINGS, *OFTEN)
    log = tmp_path / "run.log"
    process = shell.start(*command, log=log)

    def is_time_to_kill() -> bool:
        return process.poll() is not None or is_there(facts_of(uri))

    assert wait_until(is_time_to_kill, timeout_s=600), log.read_text()
    assert process.poll() is None, log.read_text()
    if killed == "driver":
        text = kill_and_run_again(process, shell, command)
    else:
        # All of them: `any` would stop at the first.
        assert sum(map(kill_if_alive, shell.actors()))
        assert process.wait(timeout=600) == 0, log.read_text()
        text = log.read_text()
    [went_on_at] = re.findall(rf"long: a shot went on at frame (\d+) of {NUM_FRAMES}", text)
    assert int(went_on_at) > CORRECTED
    assert check_consistent(uri) == 1
    assert rows_of(uri) == long_video.rows
    assert [path for path in Path(uri, "unfinished").rglob("*") if path.is_file()] == []


def kill_and_run_again(
    process: "subprocess.Popen[bytes]", shell: Shell, command: tuple[str, ...]
) -> str:
    process.kill()
    process.wait()
    shell.clear(after_s=1)
    ended = shell.run(*command)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
