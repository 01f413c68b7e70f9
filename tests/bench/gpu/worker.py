"""Process of its own for what is measured: a crash, a hang or a broken device ends it alone."""

import os
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

_MAX_ERROR_CHARS = 2_000


class WorkerError(RuntimeError):
    """Error of the process, with the end of its traceback."""


class OutOfTime(WorkerError):  # noqa: N818 (it is no error of what is measured)
    """The process was ended because the time for a call was over."""


class Worker:
    """Object in a process, whose methods are called from here, one at a time."""

    def __init__(self, make: Callable[..., object], *args: object) -> None:
        """Start a process that makes the object; the first call waits for it."""
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, args))
        self._process.start()
        theirs.close()

    def call(self, method: str, *args: object, timeout_s: float, **named: object) -> Any:
        """Call a method and return its result.

        Raises OutOfTime after `timeout_s`, which ends the process, and WorkerError if the method
        or the making of the object raises, or if the process has ended.
        """
        try:
            self._connection.send((method, args, named))
            if not self._connection.poll(timeout_s):
                self._process.kill()
                raise OutOfTime(f"{method} did not end within {timeout_s:.0f} s")
            succeeded, result = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(1)
            raise WorkerError(
                f"the process must live, but ended with {self._process.exitcode}"
            ) from error
        if not succeeded:
            raise WorkerError(result)
        return result

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _serve(
    connection: "Connection[Any, Any]", make: Callable[..., object], args: tuple[object, ...]
) -> None:
    # The benchmark's last line of output must be its own.
    os.dup2(2, 1)
    made: object = None
    while True:
        try:
            method, given, named = connection.recv()
        except EOFError:
            # Threads of trackers never end.
            os._exit(0)
        try:
            made = made or make(*args)
            result = getattr(made, method)(*given, **named)
        except Exception:  # noqa: BLE001 (the other process raises it)
            connection.send((False, traceback.format_exc()[-_MAX_ERROR_CHARS:]))
        else:
            connection.send((True, result))
