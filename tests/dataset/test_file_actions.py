"""Edits of a table's files, one after the other and in one."""

from deltalake.transaction import AddAction
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.dataset.file_actions import Edit, then

PATHS = st.sets(st.sampled_from("abcdef"))


def edit(removed: set[str], added: set[str]) -> Edit:
    actions = (AddAction(path, 1, {}, 0, data_change=True, stats="{}") for path in sorted(added))
    return Edit(frozenset(removed), tuple(actions))


def applied(files: set[str], *edits: Edit) -> set[str]:
    """What Delta makes of it: it refuses to remove what is not there, or to touch a file twice."""
    for one in edits:
        added = {file.path for file in one.added}
        assert one.removed <= files
        assert not added & one.removed
        assert len(added) == len(one.added)
        files = (files - one.removed) | added
    return files


@given(st.data())
def test_two_edits_in_one(data: st.DataObject) -> None:
    files = data.draw(PATHS)
    first = edit(data.draw(_some(files)), data.draw(PATHS) - files)
    between = applied(files, first)
    second = edit(data.draw(_some(between)), data.draw(PATHS) - between)
    assert applied(files, then(first, second)) == applied(files, first, second)


def _some(files: set[str]) -> st.SearchStrategy[set[str]]:
    return st.sets(st.sampled_from(sorted(files))) if files else st.just(set())
