"""The generated reference of all config keys."""

from pathlib import Path

from pvtt_flow.config.reference import keys, reference
from pvtt_flow.config.schema import RunConfig

README = Path(__file__).parents[2] / "configs" / "README.md"


def test_configs_readme_is_up_to_date() -> None:
    """If this fails, run `python -m pvtt_flow.config.reference > configs/README.md`."""
    assert README.read_text() == reference()


def test_every_key_has_a_description() -> None:
    fields = dict(keys())
    assert {"input.uri", "resources.detect.batch_size", "qc.prompt_iou_min"} <= fields.keys()
    assert [key for key, field in fields.items() if not field.description] == []


def test_descriptions_reach_the_json_schema() -> None:
    schema = RunConfig.model_json_schema()
    min_score = schema["$defs"]["DetectParams"]["properties"]["min_score"]
    assert min_score["description"] == "Lowest confidence of a detection that is kept."


def test_rows_show_type_default_and_range() -> None:
    lines = reference().split("\n")
    for start in (
        "| `input.uri` | string | required |  | ",
        "| `detect.classes` | list of string or null | `null` |  | ",
        "| `detector.image_size_px` | integer or null | `null` | [32, 4096] | ",
        "| `detect.choose` | `score`, `area`, `centrality`, `product` | `score` |  | ",
        "| `run.commit_interval_s` | number | `5.0` | (0, 86400] | ",
    ):
        assert any(line.startswith(start) for line in lines), start
