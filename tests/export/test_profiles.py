"""Shipped profiles and those of users."""

from pathlib import Path

import pytest
import yaml

from pvtt_flow import load_profile
from pvtt_flow.core.profile import Profile
from pvtt_flow.errors import ConfigError
from pvtt_flow.export import profiles
from pvtt_flow.export.profiles import facts, shipped

FOLDER = Path(profiles.__file__).parent
NAMES = """
    diffueraser ffgo minimax_remover omnimattezero propainter rose vace videoanydoor videopainter
    void
""".split()  # noqa: SIM905 (a list of words)


def test_the_shipped_profiles() -> None:
    assert [profile.name for profile in shipped()] == NAMES
    assert [path.stem for path in sorted(FOLDER.glob("*.yaml"))] == NAMES


@pytest.mark.parametrize("profile", shipped(), ids=lambda profile: profile.name)
def test_a_profile_has_what_its_files_need(profile: Profile) -> None:
    assert profile.source.commit
    assert profile.files.video is not None
    assert load_profile(profile.name) is profile


def test_a_copy_of_a_profile_is_loaded_from_its_file(tmp_path: Path) -> None:
    tree = yaml.safe_load((FOLDER / "vace.yaml").read_text())
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(tree | {"name": "short", "frames": {"least": 49, "step": 4}}))
    loaded = load_profile(path)
    assert (loaded.name, loaded.frames.least, loaded.frames.most) == ("short", 49, None)
    assert loaded.fitness == load_profile("vace").fitness
    assert load_profile(str(path)) == loaded


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile("vaec")
    known = ", ".join(NAMES)
    assert str(caught.value) == (f"profile must be one of {known}, got 'vaec'; did you mean vace?")
    with pytest.raises(ConfigError, match=r"got 'x', or a file that ends with \.yaml$"):
        load_profile("x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": {"leest": 1}}, "$.frames.leest is not a known key; did you mean least?"),
        ({"frames": {"least": 0}}, "$.frames.least must be in [1, inf), got 0"),
        ({"frames": {"least": 80, "step": 4}}, "$.frames: least must be 4n+1, got 80"),
        ({"fps": "16"}, '$.fps must be a valid number, got "16"'),
        ({"fps": 0}, "$.fps must be in (0, inf), got 0"),
        ({"mask": {"cut": 300}}, "$.mask.cut must be in [0, 255], got 300"),
        (
            {"growth": {"consumer_growth": {"shape": "box", "radius": 2}}},
            "$.growth.consumer_growth.radius is not a known key; did you mean radius_px?",
        ),
        (
            {"files": {"mask": {"name": "mask.mkv", "container": "x264_lossless"}}},
            "$.files.mask: name must end with .mp4 for x264_lossless, got mask.mkv",
        ),
        (
            {"files": {"mask": {"name": "mask.mp4", "container": "x264"}}},
            "$.files: container of mask.mp4 must be without loss, since a consumer's cut turns",
        ),
        (
            {"files": {"region": "../region.json"}},
            "$.files: names must be of files inside of the bundle's folder, and not bundle.json",
        ),
        ({"files": {"boxes": "/etc/boxes.json"}}, "$.files: names must be of files inside"),
        ({"files": {"boxes": "bundle.json"}}, "$.files: names must be of files inside"),
        (
            {"files": {"boxes": "a.json", "region": "a.json"}},
            "$.files: names must be different, got a.json, a.json",
        ),
        ({"fitness": {"presence": 2}}, "$.fitness.presence must be in [0, 1], got 2"),
        ({"tracker": {}}, "$.tracker is not a known key; "),
    ],
)
def test_a_bad_value_is_reported_with_its_path(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    tree = yaml.safe_load((FOLDER / "vace.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree | change))
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert any(line.startswith(f"{path}: {message}") for line in str(caught.value).split("\n"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config file not found: "):
        load_profile(tmp_path / "none.yaml")


def test_the_readme_has_the_table_of_the_profiles() -> None:
    rows = [facts(profile) for profile in shipped()]
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}"
    lines = [f"| {' | '.join(row.values())} |" for row in rows]
    assert "\n".join([head, *lines]) in (FOLDER / "README.md").read_text()
