"""Public buckets, which are read without credentials."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
import torch

from pvtt_flow import open_dataset, read_frames
from pvtt_flow.config.loading import parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.errors import DataError, PreflightError
from pvtt_flow.stages.factory import make_decoder, use_input_credentials
from pvtt_flow.storage.files import write_bytes
from pvtt_flow.storage.filesystems import filesystem, read_anonymously
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources
from pvtt_flow.storage.streams import open_binary
from pvtt_flow.video.probe import probe
from tests.cli.terminal import pvtt_flow
from tests.conftest import S3Server
from tests.readers.sample_dataset import processed
from tests.video.clip_maker import HEIGHT_PX, WIDTH_PX, write_clip
from tests.video.frame_folder_maker import write_frame_folder


@pytest.fixture(autouse=True)
def _with_credentials_afterwards() -> Iterator[None]:
    yield
    s3fs.S3FileSystem.clear_instance_cache()
    read_anonymously(anonymous=False, except_for=())


def config(input_uri: str, output_uri: str, *, anonymous: bool) -> RunConfig:
    return parse(
        {"input": {"uri": input_uri, "anonymous": anonymous}, "output": {"uri": output_uri}}
    )


def test_a_public_bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, output = s3.bucket("public"), s3.bucket()
    clip = write_clip(tmp_path / "clip.mp4", 3)
    uri = s3.put(clip, f"{public}/videos/clip.mp4")
    anonymous = config(f"{public}/videos", output, anonymous=True)
    use_input_credentials(anonymous)
    write_bytes(f"{output}/file", b"written with the credentials of the environment")

    # Of another store, as often in the environment of one who reads a public bucket.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of another store")
    s3fs.S3FileSystem.clear_instance_cache()
    (source,) = list_sources(anonymous.input)
    assert source.uri == uri
    decoder = make_decoder(anonymous)
    assert decoder.call(probe, uri, size_bytes=source.size_bytes).width_px == 96
    with open_binary(uri) as stream:
        assert stream.read() == clip.read_bytes()

    use_input_credentials(config(public, output, anonymous=False))
    with pytest.raises(DataError, match="refused"), open_binary(uri):
        pass


def test_readers_of_a_dataset(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = processed(tmp_path, s3, public=True)
    frames_uri = f"{s3.bucket('public')}/mug"
    for picture in write_frame_folder(tmp_path / "mug", range(3)).iterdir():
        s3.put(picture, f"{frames_uri}/{picture.name}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of another store")
    s3fs.S3FileSystem.clear_instance_cache()
    dataset = open_dataset(made.uri)
    clips = dataset.clips(5, anonymous=True)
    (uri,) = (record.uri for record in dataset.find_videos("a"))
    assert uri.startswith("s3://public")
    first = clips[0]
    assert first["frames"].shape == (5, 3, HEIGHT_PX, WIDTH_PX)
    assert torch.equal(next(iter(clips.stream()))["frames"], first["frames"])
    rgb = read_frames(uri, [0], anonymous=True)[0].rgb
    assert torch.equal(first["frames"][0], torch.from_numpy(rgb.transpose(2, 0, 1).copy()))
    assert list(read_frames(f"{frames_uri}/#fps=24", [2], anonymous=True)) == [2]
    drawn = pvtt_flow("preview", made.uri, "a", "--out", tmp_path / "previews", "--anonymous")
    assert (drawn.code, drawn.err) == (0, "")
    assert (tmp_path / "previews" / "a.mp4").exists()
    to = tmp_path / "exported"
    ended = pvtt_flow("export", made.uri, "--format", "davis", "--to", to, "--anonymous")
    assert (ended.code, json.loads((to / "export.json").read_text())["skipped"]) == (0, [])
    assert len(list((to / "JPEGImages" / "480p" / "a").iterdir())) == len(
        dataset.masklets_of("a")[0].frames
    )

    read_anonymously(anonymous=False, except_for=())
    # A bucket that refuses its videos is no wrong config: other videos may be elsewhere.
    to = tmp_path / "refused"
    ended = pvtt_flow("export", made.uri, "--format", "davis", "--to", to)
    skipped = json.loads((to / "export.json").read_text())["skipped"]
    assert (ended.code, {row["kind"] for row in skipped}) == (1, {"unreadable"})
    assert all("was refused (403); check AWS_ACCESS" in row["message"] for row in skipped)
    for read in (lambda: dataset.clips(5)[0], lambda: read_frames(uri, [0])):
        with pytest.raises((DataError, PreflightError), match=r"access to .* was refused"):
            read()


def test_a_bucket_that_is_not_public(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    s3.put(write_clip(tmp_path / "clip.mp4", 3), f"{bucket}/clip.mp4")
    use_input_credentials(config(bucket, "out", anonymous=True))
    with pytest.raises(PreflightError, match=r"^\$\.input\.uri: access to .* was refused"):
        list_sources(InputParams(uri=bucket))


@pytest.mark.parametrize(
    ("uri", "is_anonymous"),
    [
        ("s3://videos/a.mp4", True),
        ("s3a://videos/a.mp4", True),
        ("s3://datasets-2/a.mp4", True),
        ("s3://datasets/other/a.mp4", False),
        ("s3://models", False),
    ],
)
def test_buckets_that_keep_their_credentials(uri: str, *, is_anonymous: bool) -> None:
    read_anonymously(
        anonymous=True, except_for=["s3://datasets/masklets", "s3://models", "/folder"]
    )
    files, _ = filesystem(uri)
    assert files.anon is is_anonymous
    read_anonymously(anonymous=False, except_for=())
    files, _ = filesystem(uri)
    assert files.anon is False
