"""Load configs, and explain what is wrong with one."""

from pathlib import Path

import pytest
import yaml

from pvtt_flow.config.errors import RENAMED_KEYS
from pvtt_flow.config.loading import dump, load, load_thresholds, parse
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.errors import ConfigError
from pvtt_flow.storage.params import InputParams
from pvtt_flow.storage.sources import list_sources

SMALLEST = "input: {uri: videos}\noutput: {uri: dataset}\n"
CONFIGS = Path(__file__).parents[2] / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.yaml"))


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
        # Times and sizes that no system call takes.
        (
            "limits.frame_timeout_s=1.0e+300",
            "$.limits.frame_timeout_s must be in [0.01, 86400], got 1e+300",
        ),
        (
            "run.commit_interval_s=1.0e+300",
            "$.run.commit_interval_s must be in (0, 86400], got 1e+300",
        ),
        (
            f"limits.max_decoder_bytes={1 << 63}",
            (
                "$.limits.max_decoder_bytes must be in [1000000000, 4611686018427387904], got "
                "9223372036854775808"
            ),
        ),
        ("sampling.target_fps=0", "$.sampling.target_fps must be in (0, inf), got 0"),
        ("detector.image_size_px=16", "$.detector.image_size_px must be in [32, 4096], got 16"),
        ("resources.detect.actors=0", "$.resources.detect.actors must be in [1, inf), got 0"),
        ("qc.object_score_min=.inf", "$.qc.object_score_min must be a finite number, got "),
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
        (
            "input.extensions=[mp*]",
            "$.input.extensions[0] must be a file extension like 'mp4', got ",
        ),
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
def test_bad_value_is_reported_with_its_path(path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, [override])
    assert str(caught.value).startswith(message)


def test_override_below_a_plain_value_is_refused(path: Path) -> None:
    path.write_text(SMALLEST + "detect: 5\n")
    with pytest.raises(ConfigError, match=r"\$\.detect must be a section to set a key in"):
        load(path, ["detect.min_score=0.5"])


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"input": {"uri": "in"}, "detect": {"max_iou": 2}, "typo": 1})
    assert str(caught.value).split("\n") == [
        "$.detect.max_iou must be in [0, 1], got 2",
        "$.output must be given",
        f"$.typo is not a known key; known keys: {', '.join(RunConfig.model_fields)}",
    ]


def test_thresholds_take_overrides_of_qc_only() -> None:
    assert load_thresholds(["qc.accept_probability=0.5"], QcThresholds()).accept_probability == 0.5
    with pytest.raises(ConfigError) as caught:
        load_thresholds(["qc.accept_probability=2"], QcThresholds())
    assert str(caught.value) == "$.qc.accept_probability must be in [0, 1], got 2"
    with pytest.raises(ConfigError, match=r"--set must be qc\.KEY=VALUE here, got detect"):
        load_thresholds(["detect.min_score=1"], QcThresholds())


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_renamed_key_is_reported_with_its_present_name(path: Path, old: str, new: str) -> None:
    section, key = old.split(".")
    message = f"$.{old} is now called $.{new}"
    with pytest.raises(ConfigError) as caught:
        load(path, [f"{old}=1"])
    assert str(caught.value) == message
    path.write_text(f"{SMALLEST}{section}: {{{key}: 1}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == message
    defaults = parse(yaml.safe_load(SMALLEST)).model_dump()
    section, key = new.split(".")
    assert key in defaults[section], "the present name exists"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"input: [", "must be a YAML file: while parsing a flow node"),
        (b"\xff\xfe\x00", "must be a YAML file: 'utf-8' codec can't decode"),
        (b"", "must hold a mapping of sections, got NoneType"),
        (b"- input", "must hold a mapping of sections, got list"),
    ],
)
def test_file_that_is_no_config_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} {message}")


def test_missing_file_is_reported(tmp_path: Path) -> None:
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


def test_dumped_config_loads_as_the_same_config(path: Path) -> None:
    config = load(path, ["detect.classes=[mug]", "sampling.target_fps=5", "input.extensions=[.MP]"])
    path.write_text(dump(config))
    assert load(path) == config
    assert yaml.safe_load(dump(config))["input"]["extensions"] == ["mp"]


def test_config_is_frozen(path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(path).run.max_attempts = 5


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_configs_load(example: Path) -> None:
    assert load(example).version == 1


def test_example_configs_are_found() -> None:
    names = {path.name for path in EXAMPLES}
    assert {"quickstart.yaml", "real.yaml", "cluster.yaml", "s3.yaml", "refresh.yaml"} <= names


def test_example_manifest_lists_videos_that_exist() -> None:
    uri = str(CONFIGS / "manifest.example.jsonl")
    sources = list_sources(InputParams(uri=uri))
    assert [source.video_id for source in sources] == ["one", "two", "corrected", "given-shots"]
    assert all(source.etag for source in sources)
    assert [len(source.prompts) for source in sources] == [1, 2, 2, 0]
    assert sources[3].shots == ((0, 36), (36, 72))
