"""Figures of the shipped models, measured on a shop of one mesh under one sky."""

import json
from pathlib import Path

import pytest

from pvtt_flow.training.evaluate import write_figures
from tests.training.test_library import make_assets

pytestmark = pytest.mark.slow


def test_figures_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    make_assets(tmp_path / "assets")
    said: list[str] = []
    figures = []
    for processes in (1, 2):
        output = tmp_path / f"{processes}.json"
        write_figures(
            clips=2, stills=8, annotated=None, work=tmp_path, processes=processes,
            report=said.append, output=output,
        )  # fmt: skip
        figures.append(json.loads(output.read_text()))
    assert figures[0] == figures[1]
    assert figures[0]["segmenter"]["rendered"]["point"]["clips"] == 2
    assert json.loads(said[-1]) == figures[1]["summary"]
    assert set(figures[1]["summary"]) == {
        "rendered_jf", "points_over_box", "mesh_recall", "mesh_precision"
    }  # fmt: skip
