"""Exports as a whole: what is selected, what is described, what happens when it cannot go on."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pvtt_flow import load_profile, open_dataset
from pvtt_flow.errors import ConfigError, PreflightError, StoreError
from pvtt_flow.export import export
from pvtt_flow.export.formats.davis import Davis
from pvtt_flow.export.job import Exported
from pvtt_flow.export.selection import Query, Selection, sequence_name
from pvtt_flow.export.sequence import Sequence
from pvtt_flow.storage.filesystems import filesystem
from pvtt_flow.types import Frame
from pvtt_flow.video.read import read_frames
from tests.cli.terminal import pvtt_flow
from tests.disks import small_disk
from tests.readers.sample_dataset import NUM_FRAMES, STRIDE, Processed, processed

if TYPE_CHECKING:
    from tests.conftest import S3Server

FRAMES = NUM_FRAMES // STRIDE


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "export.json").read_text())
    return manifest


def test_what_is_described(dataset: Processed, tmp_path: Path) -> None:
    exported = export(dataset.uri, "davis", str(tmp_path / "to"), split="train=0.5,val=0.5")
    manifest = manifest_of(tmp_path / "to")
    assert manifest["request"]["version"] == open_dataset(dataset.uri).version
    assert manifest["counts"] == exported.counts
    expected = {"sequences": 2, "masklets": 3, "frames": 2 * FRAMES, "files": 4 * FRAMES}
    assert expected.items() <= exported.counts.items()
    assert manifest["sequences_by_license"] == {"not stated": 2}
    assert sum(manifest["sequences_by_split"].values()) == 2
    # Everything but the three files of the description has a checksum, and the right one.
    lines = (tmp_path / "to/checksums.sha256").read_text().splitlines()
    sums = {path: checksum for checksum, path in (line.split("  ") for line in lines)}
    files = {p.relative_to(tmp_path / "to").as_posix(): p for p in (tmp_path / "to").rglob("*.*")}
    assert files.keys() - sums.keys() == {"export.json", "sequences.jsonl", "checksums.sha256"}
    assert sums == {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in sums}


def test_times_and_hashes_are_those_of_the_source(dataset: Processed, tmp_path: Path) -> None:
    export(dataset.uri, "davis", str(tmp_path / "to"))
    lines = (tmp_path / "to/sequences.jsonl").read_text().splitlines()
    by_name = {facts["sequence"]: facts for facts in map(json.loads, lines)}
    assert by_name["a"]["objects"][1] == {
        "masklet_id": "a/s0000@0/o001",
        "object_id": 1,
        "label": "product 1",
        "verdict": "accept",
    }
    for name, facts in by_name.items():
        with (dataset.videos / f"{name}.mp4").open("rb") as file:
            frames = list(read_frames(file))[::STRIDE]
        assert facts["frame_index"] == [frame.frame_index for frame in frames]
        assert facts["pts_ns"] == [frame.pts_ns for frame in frames]
        assert facts["rgb_blake2b"] == [rgb_hash(frame) for frame in frames]
        assert facts["fps"] == [25, 2]


def rgb_hash(frame: Frame) -> str:
    return hashlib.blake2b(frame.rgb.tobytes(), digest_size=8).hexdigest()


def selected(dataset: Processed, **query: Any) -> dict[str, tuple[str, ...]]:
    selection = Selection(open_dataset(dataset.uri), Query(**query))
    assert len(selection) == len(list(selection))
    return {ref.name: ref.masklet_ids for ref in selection}


def test_selection_by_sql_over_both_tables(dataset: Processed) -> None:
    both = {"a": ("a/s0000@0/o000", "a/s0000@0/o001"), "b": ("b/s0000@0/o000",)}
    assert selected(dataset) == both
    assert selected(dataset, verdicts=("accept", "review")) == {"a": both["a"]}
    assert selected(dataset, where="qc.presence < 0.5 AND uri LIKE '%b.mp4'") == {"b": both["b"]}
    assert selected(dataset, where="label = 'product 1' OR 1 = 0") == {"a": ("a/s0000@0/o001",)}


def test_selection_by_fitness(dataset: Processed) -> None:
    fit = load_profile("propainter")
    found = {row.masklet_id: row.fitness.verdict for row in open_dataset(dataset.uri).fitness(fit)}
    ids = {id_ for ids in selected(dataset, fit=fit).values() for id_ in ids}
    assert ids == {id_ for id_, verdict in found.items() if verdict == "fit"} != set()
    assert selected(dataset, fit=load_profile("vace")) == {}


def test_options_that_are_refused(dataset: Processed, tmp_path: Path) -> None:
    to = str(tmp_path / "to")
    with pytest.raises(ConfigError, match="--split-by must be with --split"):
        export(dataset.uri, "davis", to, split_by="sku")
    with pytest.raises(ConfigError, match=r"--split-by must be a manifest column.*got 'sku'"):
        export(dataset.uri, "davis", to, split="a=0.5,b=0.5", split_by="sku")
    with pytest.raises(ConfigError, match="--verdict must be accept, review or reject"):
        export(dataset.uri, "davis", to, verdicts=["acept"])
    with pytest.raises(ConfigError, match="--profile must not be given with --format davis"):
        export(dataset.uri, "davis", to, profile="vace")
    with pytest.raises(ConfigError, match="did you mean vace"):
        export(dataset.uri, "davis", to, fit="vase")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("verdickt = 'accept'", "verdickt"),
        ("width_px > 3", "Ambiguous"),
        ("verdict = ", "syntax error"),
    ],
)
def test_sql_that_is_refused(dataset: Processed, where: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"--where must be an SQL condition.*{problem}"):
        selected(dataset, where=where)


@pytest.mark.parametrize(
    ("video_id", "shot", "name"),
    [
        ("mug-3f", None, "mug-3f"),
        ("杯子-3f", 3, "杯子-3f_s0003"),
        ("a/b", None, "a_b-f9596f08"),
        ("..", None, "_-d6fdb808"),
        ("-rf", None, "rf-d3841d29"),
    ],
)
def test_names_are_safe(video_id: str, shot: int | None, name: str) -> None:
    assert sequence_name(video_id, shot) == name


def test_a_source_that_changed_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    dataset = processed(tmp_path)
    shutil.copy(dataset.videos / "a.mp4", tmp_path / "original.mp4")
    (dataset.videos / "a.mp4").write_bytes(b"another video")
    (dataset.videos / "b.mp4").unlink()
    ended = pvtt_flow("export", dataset.uri, "--format", "davis", "--to", tmp_path / "to")
    assert ended.code == 1
    assert "skipped a: source_changed: " in ended.out
    assert "skipped b: unreadable: " in ended.out
    assert [skipped["kind"] for skipped in manifest_of(tmp_path / "to")["skipped"]] == [
        "source_changed",
        "unreadable",
    ]
    assert not list((tmp_path / "to").rglob("*.png"))
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "checksums.sha256",
        "export.json",
        "sequences.jsonl",
    ]
    # Masks alone need no source.
    alone = export(dataset.uri, "davis", str(tmp_path / "alone"), pictures=False)
    assert alone.counts["files"] == 2 * FRAMES


class StopError(Exception):
    """End of a try."""


def test_an_interrupted_export_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = processed(tmp_path)
    to = tmp_path / "to"
    written: list[str] = []
    write = Davis.write

    def write_one(self: Davis, sequence: Sequence, folder: Path) -> dict[str, Any]:
        if sequence.name == "b" and not (tmp_path / "go on").exists():
            raise StopError
        written.append(sequence.name)
        return write(self, sequence, folder)

    monkeypatch.setattr(Davis, "write", write_one)
    with pytest.raises(StopError):
        export(dataset.uri, "davis", str(to))
    version = open_dataset(dataset.uri).version
    assert not (to / "export.json").exists()
    assert list((to / "_incomplete/records").iterdir())
    # The dataset goes on; the export stays with its version.
    assert pvtt_flow("judge", dataset.uri, "--set", "qc.accept_probability=0.95").code == 0
    (tmp_path / "go on").touch()
    exported = export(dataset.uri, "davis", str(to))
    assert written == ["a", "b"]
    assert manifest_of(to)["request"]["version"] == version
    assert exported.counts["files"] == 4 * FRAMES
    assert not (to / "_incomplete").exists()
    # Nothing is left to do for the same version.
    again = export(dataset.uri, "davis", str(to), version=version)
    assert again == Exported(uri=str(to), counts=exported.counts, skipped=(), was_complete=True)
    assert written == ["a", "b"]


def test_folders_that_are_refused(dataset: Processed, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("of somebody")
    with pytest.raises(ConfigError, match="--to must be an empty folder or hold this export"):
        export(dataset.uri, "davis", str(tmp_path / "full"))
    with pytest.raises(ConfigError, match="--to must be outside of the dataset"):
        export(dataset.uri, "davis", f"{dataset.uri}/exports/1")
    export(dataset.uri, "davis", str(tmp_path / "to"), pictures=False)
    with pytest.raises(ConfigError, match=r'must hold the same export.*has format_name "davis"'):
        export(dataset.uri, "youtube-vos", str(tmp_path / "to"), pictures=False)
    with pytest.raises(ConfigError, match="must select at least one masklet"):
        export(dataset.uri, "davis", str(tmp_path / "none"), where="object_id > 7")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ConfigError, match="got 'davs'; did you mean 'davis'"):
        export(dataset.uri, "davs", str(tmp_path / "none"))


def test_a_full_disk(dataset: Processed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_mib=16) as disk:
        to = disk.path / "to"
        disk.fill(pages_left=8)
        with pytest.raises(StoreError, match=r"--to: .*No space left.*free some space"):
            export(dataset.uri, "davis", str(to))
        disk.make_room()
        assert export(dataset.uri, "davis", str(to)).counts["files"] == 4 * FRAMES


def test_a_bucket(s3: "S3Server", tmp_path: Path) -> None:
    dataset = processed(tmp_path, s3)
    with pytest.raises(PreflightError, match=r"^--to: a file must be written, but the bucket of"):
        export(dataset.uri, "davis", f"{s3.bucket()}-missing/to")
    bucket = s3.bucket()
    export(dataset.uri, "davis", f"{bucket}/to")
    local = tmp_path / "local"
    filesystem("s3://")[0].get(f"{bucket}/to", str(local), recursive=True)
    assert len(list(local.rglob("*.png"))) == 2 * FRAMES
    assert not (local / "_incomplete").exists()
    pixels = np.frombuffer((local / "JPEGImages/480p/a/00000.jpg").read_bytes(), np.uint8)
    assert pixels[:2].tobytes() == b"\xff\xd8"


def test_the_log_of_a_job_says_how_far_it_is(
    dataset: Processed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "pvtt_flow"):
        pvtt_flow("export", dataset.uri, "--format", "coco", "--to", tmp_path / "to")
    assert caplog.messages[0] == "export: 2 sequences, 0 written before"
    assert caplog.messages[-1] == f"export: 2 of 2 sequences, {2 * FRAMES} frames"
