"""Bundles of every shipped profile, decoded as their consumers do."""

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from pvtt_flow import load_profile
from pvtt_flow.config.loading import validate
from pvtt_flow.core import rle
from pvtt_flow.core.growth import grow
from pvtt_flow.core.placed_pixels import placed_mask
from pvtt_flow.core.placement import Placement
from pvtt_flow.core.profile import FrameCount, Profile
from pvtt_flow.errors import ConfigError
from pvtt_flow.export import export
from pvtt_flow.export.formats.consumer.containers import decoded, open_pictures
from pvtt_flow.export.formats.consumer.validation import bundles_in, validate_bundle
from pvtt_flow.export.profiles import shipped
from tests.cli.terminal import pvtt_flow
from tests.export.long_dataset import (
    HEIGHT_PX,
    NUM_FRAMES,
    PERIOD_NS,
    SPECKS,
    WIDTH_PX,
    LongDataset,
    make_long_dataset,
    mask_of,
    number_at,
    ring_of,
)

CAPTION = "a mug, 茶壶, on a table"
SHRUNK = 8
NUM_FRAMES_OF = {
    "ffgo": 81,
    "minimax_remover": 81,
    "rose": 49,
    "vace": 81,
    "videoanydoor": 81,
    "videopainter": 49,
    "void": 89,
}
BundleOf: TypeAlias = Callable[[str], tuple[Path, Profile]]


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> LongDataset:
    """Not to be changed."""
    return make_long_dataset(tmp_path_factory.mktemp("long"), {"caption": CAPTION})


@pytest.fixture(scope="session")
def bundle_of(long: LongDataset, tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """Bundle of a shipped profile, and the profile; not to be changed."""

    @cache
    def make(name: str) -> tuple[Path, Profile]:
        profile = small(load_profile(name))
        folder = tmp_path_factory.mktemp(name)
        to = exported(long, profile, folder, where="object_id = 0")
        return to / "long_o000", profile

    return make


def small(profile: Profile, **changes: Any) -> Profile:
    """The profile with an eighth of its pixels, so that tests are quick."""
    tree = profile.model_dump(mode="json")
    size, fitness = tree["size"], tree["fitness"]
    for name in ("width_px", "height_px", "max_side_px"):
        size[name] = size[name] and size[name] // SHRUNK
    size["multiple"] = min(size["multiple"], 2) if size["width_px"] else size["multiple"]
    tree["growth"]["radius_px"] //= SHRUNK
    fitness["product_px"] = fitness["product_px"] and fitness["product_px"] / SHRUNK
    return validate(Profile, tree | changes)


def file_of(profile: Profile, folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json")))
    return path


def exported(long: LongDataset, profile: Profile, folder: Path, **options: Any) -> Path:
    export(long.uri, "consumer", str(folder / "to"), profile=file_of(profile, folder), **options)
    return folder / "to"


def facts_of(home: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((home / "bundle.json").read_text())
    return facts


def pictures_of(home: Path, rule: Any) -> list[NDArray[np.uint8]]:
    with decoded(home / rule.name, rule) as file:
        return list(file.pictures)


def picture_of(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


@pytest.mark.parametrize("name", [profile.name for profile in shipped()])
def test_a_shipped_profile(bundle_of: BundleOf, name: str) -> None:
    home, profile = bundle_of(name)
    assert validate_bundle(home, profile) == []
    facts = facts_of(home)
    placement = Placement(**facts["placement"])
    positions = facts["frame_index"]
    # The files are those of the profile, and nothing else.
    files = [rule for _, rule in profile.files if rule is not None]
    names = {rule if isinstance(rule, str) else rule.name for rule in files}
    there = {path.name for path in home.iterdir()} - {"bundle.json"}
    assert there == names - facts["missing"].keys()
    # Each output time has the nearest frame of the source.
    times = np.array(facts["pts_ns"]) - facts["pts_ns"][0]
    period_ns = 1e9 / profile.fps if profile.fps else PERIOD_NS
    assert np.abs(times - np.arange(len(times)) * period_ns).max() <= PERIOD_NS / 2
    assert len(positions) == NUM_FRAMES_OF.get(name, NUM_FRAMES)
    assert len(set(positions)) == len(positions) == facts["fitness"]["window_frames"]
    assert all(facts["rgb_blake2b"])
    assert profile.files.video
    pictures = pictures_of(home, profile.files.video)
    assert [number_at(picture, placement) for picture in pictures] == positions
    if profile.files.mask is None:
        return
    masks = pictures_of(home, profile.files.mask)
    assert len(masks) == len(pictures)
    for position, mask in zip(positions, masks, strict=True):
        hole = profile.mask.is_hole(mask if mask.ndim == 2 else mask[..., 1])
        assert np.array_equal(hole, expected_hole(profile, placement, position))


def expected_hole(profile: Profile, placement: Placement, position: int) -> NDArray[np.bool_]:
    mask = placed_mask(mask_of(0, position), placement, profile.mask.resize)
    if profile.growth.shape is None:
        return mask
    return grow(mask, profile.growth.shape, profile.growth.radius_px, profile.growth.blocks_px)


def test_without_pictures(long: LongDataset, tmp_path: Path) -> None:
    profile = small(load_profile("vace"))
    home = exported(long, profile, tmp_path, pictures=False) / "long_o000"
    assert validate_bundle(home, profile) == []
    reason = "the export was made without pictures"
    assert facts_of(home)["missing"] == {"src_video.mp4": reason, "reference.png": reason}


def test_an_unfit_masklet_is_left_out_with_the_number_that_is_short(
    long: LongDataset, tmp_path: Path
) -> None:
    to = exported(long, small(load_profile("vace")), tmp_path)
    manifest = json.loads((to / "export.json").read_text())
    assert [path.name for path in to.iterdir() if path.is_dir()] == ["long_o000"]
    (unfit,) = manifest["unfit"]
    assert unfit["masklet_id"].endswith("/o001")
    assert "largest coverage by the box must be at most 50 %, is 99.7 %" in unfit["message"]
    assert manifest["skipped"] == []
    assert (manifest["counts"]["masklets"], manifest["counts"]["unfit_masklets"]) == (1, 1)
    # A masklet is not written either if it is the only one.
    alone = tmp_path / "alone"
    alone.mkdir()
    short = small(load_profile("vace"), frames={"least": 401, "most": 401, "step": 4})
    manifest = json.loads((exported(long, short, alone) / "export.json").read_text())
    assert manifest["counts"]["sequences"] == 0
    messages = [unfit["message"] for unfit in manifest["unfit"]]
    assert messages[0] == "needs 401 frames at 16 fps, has 122"
    assert not [path for path in (alone / "to").iterdir() if path.is_dir()]


def test_all_masklets_of_a_video_have_the_bundles_that_they_have_alone(
    long: LongDataset, tmp_path: Path
) -> None:
    profile = small(load_profile("videopainter"), fitness={})
    homes: list[list[Path]] = []
    for where in (None, "object_id = 0", "object_id = 1"):
        folder = tmp_path / str(where)
        folder.mkdir()
        homes.append(sorted(exported(long, profile, folder, where=where).glob("long_o*")))
    assert [len(found) for found in homes] == [2, 1, 1]
    for home, alone in zip(homes[0], (homes[1][0], homes[2][0]), strict=True):
        assert validate_bundle(home, profile) == []
        assert facts_of(home)["sha256"] == facts_of(alone)["sha256"]


def test_files_of_vace(bundle_of: BundleOf) -> None:
    home, profile = bundle_of("vace")
    assert profile.files.video
    assert profile.files.mask
    pictures = np.array(pictures_of(home, profile.files.video)).astype(int)
    holes = profile.mask.is_hole(np.array(pictures_of(home, profile.files.mask))[..., 0])
    assert np.abs(pictures[holes] - 128).max() <= 1
    assert np.abs(pictures[~holes] - 128).max() > 30
    reference = picture_of(home / "reference.png")
    assert reference.shape[2] == 3
    assert (reference == 255).any()


def test_files_of_videopainter(bundle_of: BundleOf) -> None:
    home, _ = bundle_of("videopainter")
    with np.load(home / "all_masks.npz") as arrays:
        masks = arrays["arr_0"]
    assert (masks.shape, masks.dtype, set(np.unique(masks))) == ((49, 60, 90), np.uint8, {0, 1})
    with (home / "videos.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "path": "video.mp4",
        "mask_id": "1",
        "start_frame": "0",
        "end_frame": "49",
        "fps": "8",
        "caption": CAPTION,
    }


def test_files_of_void(bundle_of: BundleOf) -> None:
    home, profile = bundle_of("void")
    assert json.loads((home / "prompt.json").read_text()) == {"bg": CAPTION}
    assert profile.files.mask
    masks = np.array(pictures_of(home, profile.files.mask))[..., 0]
    assert set(np.unique(masks)) == {0, 255}
    # An absent product is a picture without a hole, not a missing one.
    absent = [160 <= position < 164 for position in facts_of(home)["frame_index"]]
    assert any(absent)
    assert [bool((picture == 255).all()) for picture in masks] == absent


def test_files_of_videoanydoor(bundle_of: BundleOf) -> None:
    home, _ = bundle_of("videoanydoor")
    facts, boxes = facts_of(home), json.loads((home / "boxes.json").read_text())
    placement = Placement(**facts["placement"])
    assert (boxes["width_px"], boxes["height_px"]) == (104, 60)
    assert boxes["growth"] == {"shape": "box", "radius_px": 2, "blocks_px": None}
    for number, position in enumerate(facts["frame_index"]):
        rows, columns = np.nonzero(placed_mask(mask_of(0, position), placement, "nearest"))
        tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert boxes["boxes_xyxy"]["tight"][number] == tight
        ring = rle.box_of(placed_mask(ring_of(position), placement, "nearest"))
        assert ring
        assert boxes["boxes_xyxy"]["largest_fragment"][number] == list(ring)
        assert (tight != list(ring)) == (position in SPECKS)
        grown = [tight[0] - 2, tight[1] - 2, tight[2] + 2, min(60, tight[3] + 2)]
        assert boxes["boxes_xyxy"]["grown"][number] == grown
        fractions = np.array(boxes["boxes_xyxy_fractions"]["grown"][number])
        assert np.allclose(fractions * [104, 60, 104, 60], grown, atol=1e-3)
    region = json.loads((home / "region.json").read_text())
    for name, track in boxes["boxes_xyxy"].items():
        assert region["boxes_xyxy"][name] == track[0]
    first = picture_of(home / "first_frame.png")[..., ::-1]
    assert first.shape == (60, 104, 3)
    assert number_at(np.ascontiguousarray(first), placement) == facts["frame_index"][0]
    for name in ("cutout.png", "second_cutout.png"):
        assert set(np.unique(picture_of(home / name)[..., 3])) == {0, 255}


def test_files_of_ffgo(bundle_of: BundleOf) -> None:
    home, _ = bundle_of("ffgo")
    assert facts_of(home)["missing"] == {}
    assert (home / "caption.txt").read_text() == (
        f"ad23r2 the camera view suddenly changes {CAPTION}"
    )
    metadata = json.loads((home / "metadata.json").read_text())
    assert metadata["video"] == {
        "resolution": [104, 60],
        "num_frames": 81,
        "fps": 16,
        "original_resolution": [WIDTH_PX, HEIGHT_PX],
        "scaled_resolution": [90, 60],
        "has_padding": True,
        "padding": {"left": 7, "top": 0, "right": 7, "bottom": 0},
    }
    assert metadata["product_rgba"]["product_area_ratio"] == pytest.approx(
        mask_of(0, 0).sum() / (WIDTH_PX * HEIGHT_PX)
    )
    assert picture_of(home / "first_frame_raw.png").shape == (60, 90, 3)
    mask, rgba = picture_of(home / "product_mask.png"), picture_of(home / "product_rgba.png")
    assert np.array_equal(mask, rgba[..., 3])
    # The background is the first picture but for the product, which is filled.
    raw, scene = (picture_of(home / f"{name}.png") for name in ("first_frame_raw", "background"))
    product = cv2.resize(mask_of(0, 0).astype(np.uint8), (90, 60)) > 0
    near = grow(product, "square", 3)
    assert scene.shape == raw.shape
    assert np.array_equal(scene[~near], raw[~near])
    assert (scene[product] != raw[product]).any()
    filled = metadata["background"]["filled_ratio"]
    assert product.mean() <= filled <= near.mean()
    # On the first frame, product and background are whole, each in its part, on white.
    first = picture_of(home / "first_frame.png").astype(int)
    assert first.shape == (60, 104, 3)
    left, right = first[:, :34], first[:, 34:]
    assert (left == 255).all(axis=2).any()
    assert (left < 250).any()
    small_scene = cv2.resize(scene, (70, 47), interpolation=cv2.INTER_AREA)
    assert np.abs(right[6:53] - small_scene).max() <= 2
    assert (right[:6] == 255).all()
    assert (right[53:] == 255).all()


def test_a_static_box_is_the_hole_on_every_frame(long: LongDataset, tmp_path: Path) -> None:
    profile = small(load_profile("vace"), fitness={"center_y_spread": 0.001})
    home = exported(long, profile, tmp_path, where="object_id = 0") / "long_o000"
    assert validate_bundle(home, profile) == []
    facts = facts_of(home)
    assert facts["fitness"]["verdict"] == "fixable"
    left, top, right, bottom = facts["fitness"]["static_box_xyxy"]
    union = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    for position in range(facts["frame_index"][0], facts["frame_index"][-1] + 1):
        union |= mask_of(0, position)
    assert (left, top, right, bottom) == rle.box_of(union)
    union[top:bottom, left:right] = True
    expected = grow(placed_mask(union, Placement(**facts["placement"]), "bicubic"), "box", 2)
    assert profile.files.mask
    masks = np.array(pictures_of(home, profile.files.mask))[..., 0]
    assert np.array_equal(masks, [expected * 255] * 81)


def test_another_rate_changes_the_frames_and_not_the_file(
    long: LongDataset, tmp_path: Path
) -> None:
    profile = small(load_profile("videoanydoor"), fitness={})
    profile = profile.model_copy(update={"frames": FrameCount(least=149, most=149, step=4)})
    home = exported(long, profile, tmp_path, where="object_id = 0") / "long_o000"
    assert validate_bundle(home, profile) == []
    facts = facts_of(home)
    fps = facts["fitness"]["fps"]
    assert 16 < fps < 25
    assert facts["fps"] == [16, 1]
    times_s = (np.array(facts["pts_ns"]) - facts["pts_ns"][0]) / 1e9
    assert np.abs(times_s - np.arange(149) / fps).max() <= 0.0201


def test_what_the_validator_finds(long: LongDataset, tmp_path: Path) -> None:
    profile = small(load_profile("vace"))
    home = exported(long, profile, tmp_path) / "long_o000"
    assert [*bundles_in(home), *bundles_in(home.parent)] == [home, home]
    files = profile.files.model_dump()
    assert validate_bundle(home, small(load_profile("rose"), files=files, fps=25.0)) == [
        "pictures must have 90x60, have 104x60",
        "src_video.mp4 must have 16n+1 and at least 17 and at most 49 frames, has 81",
        "src_mask.mp4 must have 16n+1 and at least 17 and at most 49 frames, has 81",
        "src_video.mp4 must have 25 fps, has 16",
        "src_mask.mp4 must have 25 fps, has 16",
    ]
    (home / "reference.png").unlink()
    (home / "src_mask.mp4").write_bytes(b"")
    assert validate_bundle(home, profile) == [
        "reference.png must be in the folder, but is missing",
        "src_mask.mp4 must have the checksum in bundle.json, but was changed",
    ]


@pytest.mark.parametrize(
    ("video", "mask", "problem"),
    [
        ({"gray": 90}, {}, "src_video.mp4 must be 128 in the hole, has 90"),
        ({}, {"hole": 200}, "src_mask.mp4 must have the levels 0, 255, has 200"),
        ({}, {"count": 77}, "must have equally many frames, have 81 and 77"),
        (
            {},
            {"fps": 8},
            "must have exactly the same fps, have src_video.mp4 16 and src_mask.mp4 8",
        ),
        ({}, {"side": 30}, "src_mask.mp4 must have pictures of 104x60, has 30x30"),
    ],
)
def test_what_the_validator_decodes(
    tmp_path: Path, video: dict[str, int], mask: dict[str, int], problem: str
) -> None:
    profile = small(load_profile("vace"))
    for rule, made in ((profile.files.video, video), (profile.files.mask, mask)):
        assert rule
        height, width = (made.get("side", side) for side in (60, 104))
        picture = np.zeros((height, width, 3), np.uint8)
        picture[10:20, 10:20] = (
            made.get("gray", 128) if rule is profile.files.video else made.get("hole", 255)
        )
        shape, fps = (made.get("count", 81), *picture.shape), Fraction(made.get("fps", 16))
        with open_pictures(tmp_path / rule.name, rule, shape, fps) as add:
            for _ in range(shape[0]):
                add(picture)
    placement = {
        "width_px": 104,
        "height_px": 60,
        "scale_x": 1,
        "scale_y": 1,
        "left_px": 0,
        "top_px": 0,
    }
    facts = {"missing": {"reference.png": "no"}, "sha256": {}, "placement": placement}
    (tmp_path / "bundle.json").write_text(json.dumps(facts))
    found = validate_bundle(tmp_path, profile)
    assert any(problem in line for line in found), found


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{}", '{"missing": {}, "sha256": {}, "placement": {"width_px": 1}}', "\xff"],
)
def test_facts_that_no_export_has_written_are_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.json").write_bytes(text.encode("latin-1"))
    (problem,) = validate_bundle(tmp_path, load_profile("rose"))
    assert problem.startswith("bundle.json must be as `export` writes it, but cannot be read (")


def test_the_command(bundle_of: BundleOf, tmp_path: Path) -> None:
    home, profile = bundle_of("rose")
    mine = file_of(profile, tmp_path)
    ended = pvtt_flow("validate", home.parent, "--profile", mine)
    assert (ended.code, ended.out) == (0, "bundles that are valid for rose: 1\n")
    ended = pvtt_flow("validate", home, "--profile", "rose")
    assert ended.code == 1
    assert f"{home}: pictures must have 720x480, have 90x60" in ended.out


def test_a_profile_must_be_given(long: LongDataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--profile must be given with --format consumer"):
        export(long.uri, "consumer", str(tmp_path / "to"))
