"""`tests.bench.family` at a small size: each architecture is measured and equals its reference."""

from pathlib import Path

import pytest

from tests.bench.compare import OBJECTS
from tests.bench.family import measure, summary
from tests.bench.family_members import MEMBERS, Member

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("member", MEMBERS, ids=[member.name for member in MEMBERS])
def test_a_member_is_measured_and_equal(member: Member, tmp_path: Path) -> None:
    found = measure(member, tmp_path, quick=True)
    assert found.logit_difference < 1e-3
    quoted = summary({member.name: found})
    assert set(quoted) == {"ms_per_frame", "speedup_over_reference", "max_abs_logit_difference"}
    speedups = quoted["speedup_over_reference"][member.name]
    assert isinstance(speedups, dict)
    assert set(speedups) == {str(n) for n in OBJECTS}
