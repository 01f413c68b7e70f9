"""What a config may say, and what people are told when it says something else."""

from pathlib import Path

import pytest
import yaml

from pvtt_flow.config.schema import RunConfig, dump, load, parse, schema_at
from pvtt_flow.errors import ConfigError

SMALLEST = "input: {uri: videos}\noutput: {uri: dataset}\n"
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(SMALLEST)
    return path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("detect.min_score=1.5", "$.detect.min_score must be in [0, 1], got 1.5"),
        ("detect.min_score=.nan", "$.detect.min_score must be in [0, 1], got NaN"),
        ("sampling.target_fps=0", "$.sampling.target_fps must be in (0, inf), got 0"),
        ("detector.image_size_px=16", "$.detector.image_size_px must be in [32, 4096], got 16"),
        ("resources.detect.actors=0", "$.resources.detect.actors must be in [1, inf), got 0"),
        ("qc.object_score_review=.inf", "$.qc.object_score_review must be a finite number, got "),
        ("detect.min_score=high", '$.detect.min_score must be a valid number, got "high"'),
        ("detect.min_score='0.5'", '$.detect.min_score must be a valid number, got "0.5"'),
        ("detect.max_products=2.5", "$.detect.max_products must be a valid integer, got 2.5"),
        ("run.max_attempts=true", "$.run.max_attempts must be a valid integer, got true"),
        ("detect.classes=mug", '$.detect.classes must be a valid array, got "mug"'),
        ("detect.classes=[mug, 1]", "$.detect.classes[1] must be a valid string, got 1"),
        ("detect=5", "$.detect must be an object, got 5"),
        ("output.uri=", "$.output.uri must be a valid string, got null"),
        ("tracker.device=gpu", "$.tracker.device must be 'auto', 'cpu' or 'cuda', got \"gpu\""),
        ("detector.sha256=abc", "$.detector.sha256 must match pattern '^[0-9a-f]{64}$', got "),
        ("version=2", "$.version must be 1, got 2"),
        ("input.extensions=[mp*]", "$.input.extensions[0] must be a file ending like 'mp4', got "),
        (
            "sampling={stride: 2, target_fps: 3}",
            "$.sampling: stride must be 1 when target_fps is set, got stride 2 and target_fps 3.0",
        ),
        (
            "shots={min_length_s: 2, max_length_s: 3}",
            "$.shots: max_length_s must be at least twice min_length_s, so that parts are no stubs",
        ),
        ("detect.min_scor=1", "$.detect.min_scor is not a known key; did you mean min_score?"),
        ("detcet.min_score=1", "$.detcet is not a known key; did you mean detect?"),
        ("output.zzz=1", "$.output.zzz is not a known key; known keys: uri"),
        ("detect", "--set must be KEY.PATH=VALUE, got 'detect'"),
        ("=5", "--set must be KEY.PATH=VALUE, got '=5'"),
        ("detect.min_score=[", "--set detect.min_score must have a YAML value, got '['"),
    ],
)
def test_a_bad_value_is_named_by_its_path(path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, [override])
    assert str(caught.value).startswith(message)


def test_a_value_is_no_section(path: Path) -> None:
    path.write_text(SMALLEST + "detect: 5\n")
    with pytest.raises(ConfigError, match=r"\$\.detect must be a section to set a key in"):
        load(path, ["detect.min_score=0.5"])


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"input": {"uri": "in"}, "detect": {"max_iou": 2}, "typo": 1})
    assert str(caught.value).split("\n") == [
        "$.detect.max_iou must be in [0, 1], got 2",
        "$.output must be given",
        f"$.typo is not a known key; known keys: {', '.join(RunConfig.model_fields)}",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"input: [", "must be a YAML file: while parsing a flow node"),
        (b"\xff\xfe\x00", "must be a YAML file: 'utf-8' codec can't decode"),
        (b"", "must hold a mapping of sections, got NoneType"),
        (b"- input", "must hold a mapping of sections, got list"),
    ],
)
def test_a_file_that_is_no_config(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} {message}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config file not found: .*missing\.yaml"):
        load(tmp_path / "missing.yaml")


def test_overrides_are_yaml_and_the_last_one_wins(path: Path) -> None:
    config = load(
        path,
        [
            "detect.min_score=0.3",
            "detect.min_score=1",
            "$.detect.classes=[mug, bottle]",
            "run.models=null",
            "input.uri=s3://bucket/a=b",
            "resources.propagate={actors: 2, num_gpus: 1}",
        ],
    )
    assert config.detect.min_score == 1.0
    assert config.detect.classes == ("mug", "bottle")
    assert config.run.models is None
    assert config.input.uri == "s3://bucket/a=b"
    assert (config.resources.propagate.actors, config.resources.propagate.num_gpus) == (2, 1.0)


def test_what_is_dumped_loads_as_the_same_config(path: Path) -> None:
    config = load(path, ["detect.classes=[mug]", "sampling.target_fps=5", "input.extensions=[.MP]"])
    path.write_text(dump(config))
    assert load(path) == config
    assert yaml.safe_load(dump(config))["input"]["extensions"] == ["mp"]


def test_a_config_cannot_be_changed(path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(path).run.max_attempts = 5  # type: ignore[misc]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_configs_are_right(shipped: Path) -> None:
    assert load(shipped).version == 1


def test_the_shipped_configs_were_found() -> None:
    assert {"quickstart.yaml", "cluster.yaml"} <= {path.name for path in SHIPPED}


CHANGES_RESULTS = {
    "shots.detect_cuts=false": True,
    "shots.min_length_s=1": True,
    "shots.max_length_s=10": True,
    "sampling.stride=2": True,
    "sampling.target_fps=5": True,
    "detect.min_score=0.9": True,
    "detect.classes=[mug]": True,
    "detect.max_products=2": True,
    "detect.choose=area": True,
    "detect.max_iou=0.2": True,
    "detect.min_area=0.2": True,
    "detect.prompt_frame=sharp": True,
    "detect.prompt_frame=confident": True,
    "detect.num_candidates=4": False,
    "detector.image_size_px=640": True,
    "input.uri=elsewhere": False,
    "input.identity=content": False,
    "limits.max_frames=7": False,
    "detector.device=cpu": False,
    "detector.weights=other.onnx": False,
    "tracker.device=cpu": False,
    "tracker.weights=sam2.1_hiera_tiny": False,
    "tracker.direction=forward": True,
    "tracker.fill_holes_px=8": True,
    "tracker.precision=bfloat16": True,
    "tracker.max_concurrent_shots=2": False,
    "tracker.max_prompted_frames=2": False,
    "qc.presence_review=0.5": False,
    "output.uri=elsewhere": False,
    "resources.propagate.actors=4": False,
    "run.max_attempts=9": False,
}


@pytest.mark.parametrize(("override", "changes"), CHANGES_RESULTS.items())
def test_the_hash_is_of_the_settings_that_change_results(
    path: Path, override: str, *, changes: bool
) -> None:
    # Weights count by their content, which lineage has beside this hash.
    assert (load(path, [override]).results_hash() != load(path).results_hash()) == changes


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_another_prompt_frame_is_followed_both_ways(path: Path, direction: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, [f"tracker.direction={direction}", "detect.prompt_frame=confident"])
    assert str(caught.value) == (
        f"$: detect.prompt_frame must be first where tracker.direction is {direction}, got "
        f"confident: objects would have no masks on one side of their prompt; set "
        f"tracker.direction to both"
    )


@pytest.mark.parametrize("choice", ["sharp", "confident"])
def test_candidates_count_where_there_is_a_choice(path: Path, choice: str) -> None:
    chosen = f"detect.prompt_frame={choice}"
    fewer = load(path, [chosen, "detect.num_candidates=4"])
    assert fewer.results_hash() != load(path, [chosen]).results_hash()


@pytest.mark.parametrize(
    ("overrides", "digest"),
    [
        ([], "d04d218bc72ac7d6"),
        (["detect.prompt_frame=sharp"], "7f9e90733ec8886b"),
    ],
)
def test_results_hash_is_stable(path: Path, overrides: list[str], digest: str) -> None:
    """Guard the digests in existing datasets: a new one makes every video stale.

    If this fails, restore the hashed names and values, or raise RESULTS_VERSION on purpose.
    """
    assert load(path, overrides).results_hash() == digest


def test_every_section_is_in_the_table_above() -> None:
    named = {override.split(".")[0] for override in CHANGES_RESULTS}
    assert named | {"version"} == set(RunConfig.model_fields)


def test_the_schema_tells_the_bounds() -> None:
    found = schema_at(("detect", "max_products"))
    assert (found["type"], found["minimum"], found["maximum"]) == ("integer", 1, 64)
    assert schema_at(("detect", "nothing")) == {}
