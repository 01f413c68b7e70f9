"""Every test here runs the real command in processes of its own, and leaves none behind."""

from collections.abc import Iterator

import pytest

from tests.slow.flow_command import Shell, processes_of, wait_until


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Shell for commands; fails a test whose processes outlive it."""
    made = Shell.new()
    yield made
    try:
        assert wait_until(lambda: not made.processes(), timeout_s=120), made.processes()
    finally:
        for process in processes_of(made.mark):
            process.kill()
