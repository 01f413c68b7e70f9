"""Every test here runs the real command in processes of its own, and leaves none behind."""

from collections.abc import Iterator

import pytest

from tests.once import made_once
from tests.slow.flow_command import Shell, processes_of, wait_until
from tests.slow.undisturbed import Undisturbed, run_undisturbed


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Shell for commands; fails a test whose processes outlive it."""
    made = Shell.new()
    yield made
    try:
        assert wait_until(lambda: not made.processes(), timeout_s=300), made.processes()
    finally:
        for process in processes_of(made.mark):
            process.kill()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Undisturbed:
    """A run that nobody disturbed."""
    return made_once(tmp_path_factory, worker_id, "undisturbed", run_undisturbed)
