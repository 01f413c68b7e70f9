"""Edits of a table's files, one after the other and in one."""

from deltalake.transaction import AddAction
from hypothesis import given
from hypothesis import strategies as st

from pvtt_flow.dataset.file_actions import FileActions, compose

PATHS = st.sets(st.sampled_from("abcdef"))


def actions(removed: set[str], added: set[str]) -> FileActions:
    actions = (AddAction(path, 1, {}, 0, data_change=True, stats="{}") for path in sorted(added))
    return FileActions(frozenset(removed), tuple(actions))


def applied(files: set[str], *parts: FileActions) -> set[str]:
    """Apply actions as Delta does, which refuses to remove a missing file or to touch one twice."""
    for one in parts:
        added = {file.path for file in one.added}
        assert one.removed <= files
        assert not added & one.removed
        assert len(added) == len(one.added)
        files = (files - one.removed) | added
    return files


@given(st.data())
def test_composed_actions_equal_both_in_a_row(data: st.DataObject) -> None:
    files = data.draw(PATHS)
    first = actions(data.draw(_some(files)), data.draw(PATHS) - files)
    middle = applied(files, first)
    second = actions(data.draw(_some(middle)), data.draw(PATHS) - middle)
    assert applied(files, compose(first, second)) == applied(files, first, second)


def _some(files: set[str]) -> st.SearchStrategy[set[str]]:
    return st.sets(st.sampled_from(sorted(files))) if files else st.just(set())
