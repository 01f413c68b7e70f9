"""Apply a function to items in tasks of a Ray cluster."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import ray
from ray.exceptions import RayTaskError

from pvtt_flow.errors import PvttFlowError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Tasks that wait for each CPU, so that none is idle while the driver takes results.
_TASKS_PER_CPU = 2


def map_on_ray(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield results as they become ready, from tasks of one CPU each; needs a Ray session.

    A task whose process or machine is lost is started again. Raises what the function raises.
    """
    # In the object store once, and not with each task.
    shared = ray.put(function)
    apply: Any = ray.remote(num_cpus=1, max_retries=3)(_apply)
    most = _TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
    pending: list[ray.ObjectRef[Result]] = []
    for item in items:
        if len(pending) >= most:
            (ready,), pending = ray.wait(pending, num_returns=1)
            yield _result(ready)
        pending.append(apply.remote(shared, item))
    while pending:
        (ready,), pending = ray.wait(pending, num_returns=1)
        yield _result(ready)


def _apply(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _result(ready: "ray.ObjectRef[Result]") -> Result:
    try:
        result: Result = ray.get(ready)
    except RayTaskError as error:
        if isinstance(error.cause, PvttFlowError):
            raise error.cause from None
        raise
    return result
