"""Messages for errors by which Ray ends a run."""

import pytest
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import ActorUnavailableError, NodeDiedError, RayTaskError

from pvtt_flow.errors import ClusterError
from pvtt_flow.pipeline import ray_session
from pvtt_flow.pipeline.ray_session import Capacity, translate_ray_errors

AT_START = Capacity(num_cpus=16, num_gpus=2)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two is lost."""
    monkeypatch.setattr(ray_session, "_capacity", lambda: Capacity(num_cpus=8, num_gpus=1))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ExecutionTimeoutError("no progress\nOperators still running:"),
            "The cluster had 16 CPUs and 2 GPUs at the start of the run and has 8 CPUs and 1 GPUs",
        ),
        (
            ActorUnavailableError("it died\nin many lines", None),
            "an actor that holds a model must survive its calls, but it died several times",
        ),
        (NodeDiedError("the machine is gone"), "Ray says: the machine is gone"),
    ],
)
def test_lost_parts_of_the_cluster_are_named(error: Exception, message: str) -> None:
    with pytest.raises(ClusterError) as raised, translate_ray_errors(AT_START, 60):
        raise error
    assert message in str(raised.value)
    assert "Committed results are kept; the next run processes the rest." in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bug_keeps_its_traceback() -> None:
    bug = RayTaskError("propagate", "Traceback …", ValueError("a bug"))
    with pytest.raises(RayTaskError), translate_ray_errors(AT_START, 60):
        raise bug
