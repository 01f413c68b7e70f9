"""Rows and machines that the journal blames when processes die."""

import pytest

from pvtt_flow.pipeline.call_journal import CallJournal, Decision, Machine, Process

HERE, THERE = Machine("here", "10.0.0.1"), Machine("there", "10.0.0.2")


class Cluster:
    """Two machines, and a journal."""

    def __init__(self) -> None:
        self.alive = {"here", "there"}
        self.journal = CallJournal(lambda: self.alive)
        self._num_processes = 0

    def process(self, machine: Machine = HERE) -> Process:
        self._num_processes += 1
        return Process(str(self._num_processes), machine)

    def begin(self, process: Process, *rows: str) -> list[Decision]:
        """Start rows as an operator does: suspects alone."""
        decisions = self.journal.begin(process, rows, alone=False)
        for row, decision in zip(rows, decisions, strict=True):
            if decision.is_suspect and decision.refusal is None:
                self.journal.begin_alone(row)
        return decisions

    def do(self, process: Process, *rows: str, num_failures: int = 0) -> None:
        self.begin(process, *rows)
        self.journal.end(process, "propagate", rows, num_failures)

    def refusal(self, row: str, machine: Machine = HERE) -> str | None:
        return self.begin(self.process(machine), row)[0].refusal


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_rows_of_a_process_that_died_run_alone_and_are_forgiven(cluster: Cluster) -> None:
    cluster.begin(cluster.process(), "a", "b")
    again = cluster.process()
    for row in ("a", "b"):
        (decision,) = cluster.begin(again, row)
        assert decision == Decision(num_deaths=0, is_suspect=True)
        cluster.journal.end(again, "propagate", [row], 0)
    assert cluster.begin(again, "a", "b") == [Decision(), Decision()]


def test_a_row_that_kills_two_processes_alone_is_refused(cluster: Cluster) -> None:
    cluster.begin(cluster.process(), "good", "killer")
    cluster.begin(cluster.process(), "killer")
    assert cluster.begin(cluster.process(), "killer")[0] == Decision(1, is_suspect=True)
    refusal = cluster.refusal("killer")
    assert refusal is not None
    assert refusal.startswith("a worker process must survive the video, but 2 died while")
    assert "(on 10.0.0.1)" in refusal
    assert cluster.refusal("good") is None
    assert cluster.journal.sick_machines() == []


def test_a_machine_that_is_gone_makes_no_suspects(cluster: Cluster) -> None:
    for _ in range(5):
        cluster.begin(cluster.process(THERE), "a")
        cluster.alive.remove("there")
        assert cluster.begin(cluster.process(), "a") == [Decision()]
        cluster.journal.end(cluster.process(), "propagate", ["a"], 0)
        cluster.alive.add("there")


def test_a_device_that_fails_whatever_it_does_is_left_out(cluster: Cluster) -> None:
    """Each row that it meets may be alone in it; none is to blame."""
    for row in ("a", "b", "c"):
        assert cluster.journal.sick_machines() == []
        process = cluster.process()
        cluster.do(process, f"before {row}")
        cluster.begin(process, row)
        cluster.journal.device_failed(process, "ECC error")
    (sick,) = cluster.journal.sick_machines()
    assert sick.machine == HERE
    assert sick.reason == "its device failed 3 times: ECC error"
    for row in ("a", "b", "c"):
        assert cluster.begin(cluster.process(THERE), row) == [Decision(0, is_suspect=True)]


def test_a_process_has_one_fault_however_many_of_its_rows_report_it(cluster: Cluster) -> None:
    """Shots are tracked together, and all of them fail when their device does."""
    for nth in range(2):
        rows = [f"{nth} {row}" for row in range(18)]
        process = cluster.process()
        cluster.do(process, "before")
        cluster.begin(process, *rows)
        for _ in rows:
            cluster.journal.device_failed(process, "ECC error")
        assert cluster.journal.sick_machines() == []
        decisions = cluster.begin(cluster.process(THERE), *rows)
        assert decisions == [Decision(0, is_suspect=True)] * len(rows)


def test_a_row_at_which_devices_of_two_machines_fail_is_guilty(cluster: Cluster) -> None:
    cluster.begin(cluster.process(), "killer")
    cluster.journal.device_failed(cluster.process(), "not its own process")
    for machine in (HERE, HERE, THERE):
        process = cluster.process(machine)
        assert cluster.begin(process, "killer")[0].refusal is None
        cluster.journal.device_failed(process, "illegal memory access")
    assert cluster.refusal("killer") is not None


def test_a_row_at_which_a_device_fails_that_works_for_others_is_guilty(cluster: Cluster) -> None:
    """The only machine of the cluster is not blamed for a row that kills it."""
    process = cluster.process()
    cluster.begin(process, "good", "killer")
    cluster.journal.device_failed(process, "illegal memory access")
    process = cluster.process()
    cluster.begin(process, "killer")
    cluster.journal.device_failed(process, "illegal memory access")
    process = cluster.process()
    cluster.do(process, "good")
    cluster.begin(process, "killer")
    cluster.journal.device_failed(process, "illegal memory access")
    assert cluster.journal.sick_machines() == []
    assert cluster.refusal("killer") is not None


def test_faults_are_forgotten_when_enough_has_been_done(cluster: Cluster) -> None:
    for number in range(10):
        process = cluster.process()
        cluster.do(process, *(f"{number} {row}" for row in range(600)))
        cluster.journal.device_failed(process, "a hiccup")
        assert cluster.journal.sick_machines() == []


@pytest.mark.parametrize(
    ("here", "there", "is_sick"),
    [
        ((10, 9), (100, 2), True),
        ((10, 4), (100, 0), False),  # too few to tell
        ((100, 40), (100, 0), False),  # most of its rows are well
        ((10, 9), (100, 30), False),  # they fail everywhere
        ((10, 9), (0, 0), False),  # it is the only one
    ],
)
def test_a_machine_on_which_failures_cluster(
    cluster: Cluster, here: tuple[int, int], there: tuple[int, int], *, is_sick: bool
) -> None:
    for machine, (num_rows, num_failures) in ((HERE, here), (THERE, there)):
        rows = [f"{machine.node_id} {row}" for row in range(num_rows)]
        cluster.do(cluster.process(machine), *rows, num_failures=num_failures)
    sick = cluster.journal.sick_machines()
    assert [machine.machine for machine in sick] == [HERE] * is_sick
    if is_sick:
        assert sick[0].reason == (
            "9 of 10 shots failed there in stage propagate, and next to none elsewhere"
        )
