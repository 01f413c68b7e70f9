"""The notebook works on a dataset, and is stored as it is meant to be read: without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.notebooks.small_dataset import NUM_FRAMES, make_dataset

ROOT = Path(__file__).parents[2]
PATH = ROOT / "notebooks" / "first_look.ipynb"
VIDEO = ROOT / "pvtt_flow" / "samples" / "one_product.mp4"


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_stored_without_outputs() -> None:
    for cell in code_cells(nbformat.read(PATH, as_version=4)):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_runs_on_a_dataset(tmp_path: Path) -> None:
    uri = make_dataset(tmp_path, VIDEO)
    notebook = nbformat.read(PATH, as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    parameters.source = f"dataset_uri = {uri!r}"
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": PATH.parent}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    printed = "".join(output.get("text", "") for output in outputs)
    assert "accept -> review" in printed
    assert f"({NUM_FRAMES}, 4)" in printed
