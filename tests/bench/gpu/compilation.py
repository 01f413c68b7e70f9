"""Work of torch's compiler in this process: graphs, recompiles, and what it gave up."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

_MAX_CHARS = 300


@dataclass(frozen=True, slots=True)
class Compilation:
    """Counts since the process began."""

    num_graphs: int
    num_recompiles: int
    """Compilations of a function that was compiled before."""
    num_graph_breaks: int
    cuda_graph_skips: int
    warnings: tuple[str, ...]
    """Python's and torch's own, each once: fallbacks, limits, memory that ran out."""


class Compiler:
    """Observer of torch's compiler in this process."""

    def __init__(self, *, generates_code: bool) -> None:
        """Begin to collect warnings.

        Without `generates_code`, functions are traced and guarded but run as they are: code for a
        CPU takes minutes, and tracing is what can be tried without a GPU.
        """
        self._messages: dict[str, None] = {}
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = self._note  # a list of all threads'
        for name in ("torch._dynamo", "torch._inductor"):
            logging.getLogger(name).addHandler(_Collector(self._messages))
        if not generates_code:
            _only_trace()

    def report(self) -> Compilation:
        """Return what has happened so far."""
        from torch._dynamo import convert_frame
        from torch._dynamo.utils import counters

        compiled = convert_frame.FRAME_COMPILE_COUNTER.values()
        return Compilation(
            num_graphs=counters["stats"]["unique_graphs"],
            num_recompiles=sum(times - 1 for times in compiled),
            num_graph_breaks=sum(counters["graph_break"].values()),
            cuda_graph_skips=counters["inductor"]["cudagraph_skips"],
            warnings=tuple(self._messages),
        )

    def _note(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, RuntimeWarning):
            self._messages[str(message)[:_MAX_CHARS]] = None


class _Collector(logging.Handler):
    def __init__(self, messages: dict[str, None]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages[record.getMessage()[:_MAX_CHARS]] = None


def _only_trace() -> None:
    """Replace inductor, in this process, by the graph that it is given."""
    from torch._inductor import compile_fx

    def run_graph(graph: Any, *_: object, **__: object) -> Any:
        return graph

    vars(compile_fx)["compile_fx"] = run_graph
