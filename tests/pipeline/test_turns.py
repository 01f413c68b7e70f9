"""Order in which threads work together and alone."""

import threading
from collections.abc import Callable

from pvtt_flow.pipeline.turns import Turns


def started(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def wait_for_waiting(turns: Turns, number: int) -> None:
    """Wait until so many threads wait to be alone."""
    with turns._changed:
        while len(turns._waiting) < number:
            turns._changed.wait(0.01)


def test_several_threads_work_together() -> None:
    turns, meeting = Turns(), threading.Barrier(3, timeout=60)

    def work() -> None:
        with turns.together():
            meeting.wait()

    threads = [started(work) for _ in range(2)]
    with turns.together():
        meeting.wait()
    for thread in threads:
        thread.join(60)


def test_suspects_are_alone_and_those_that_killed_come_last() -> None:
    turns, order = Turns(), list[str]()
    inside = [0]

    def alone(name: str, num_deaths: int) -> None:
        with turns.alone(num_deaths):
            inside[0] += 1
            assert inside == [1]
            order.append(name)
            inside[0] -= 1

    def together() -> None:
        with turns.together():
            order.append("together")

    with turns.together():
        threads = [started(lambda: alone("killer", 1))]
        wait_for_waiting(turns, 1)
        with turns.together():  # does not wait for one that has killed
            order.append("beside")
        threads.append(started(lambda: alone("suspect", 0)))
        wait_for_waiting(turns, 2)
        threads.append(started(together))
    for thread in threads:
        thread.join(60)
    assert order[:2] == ["beside", "suspect"]
    assert sorted(order[2:]) == ["killer", "together"]
