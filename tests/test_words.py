"""Rules of the house's language that a machine can check (.github/CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for room in ("pvtt_flow", "tests") for path in (ROOT / room).rglob("*.py"))
# A docstring opens with a verb or a noun of the domain. These open with a word that stands for one,
# or ask a question, so a reader has to find out first what is meant.
OPENINGS = frozenset(
    """
    it its they their them those these this that one ones what whether where which when while who
    whom whose why how of any anything anyone nothing nobody everyone everybody everything
    something somebody someone we you he she our your as both either neither such so same other
    others another
    """.split()  # noqa: SIM905 (a list of words)
)
PHRASES = re.compile(
    r"(the (same|ones?|others?|rest)|each of|all of|all that|a few|so many)\b", re.IGNORECASE
)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring, those after fields and constants included."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
        if isinstance(node, ast.Module | ast.ClassDef):
            for field, after in zip(node.body, node.body[1:], strict=False):
                match field, after:
                    case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text))):
                        yield after.lineno, text


def opens_badly(text: str) -> bool:
    words = text.strip().lstrip("`*_[(\"'")
    first = re.match(r"[A-Za-z']+", words)
    return bool(PHRASES.match(words)) or (first is not None and first[0].lower() in OPENINGS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_open_with_a_verb_or_a_noun(path: Path) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for line, text in docstrings(ast.parse(path.read_text()))
        if opens_badly(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("Return the frames of a shot.", False),
        ("Frames of a shot, in order.", False),
        ("`box_xyxy` of a mask.", False),
        ("The box of a mask.", False),
        ("It can.", True),
        ("The same, of shots whose end is known.", True),
        ("Whether a frame is sharp.", True),
        ("Those that were not found.", True),
    ],
)
def test_the_rule_knows_a_riddle(text: str, is_bad: bool) -> None:  # noqa: FBT001
    assert opens_badly(text) == is_bad
