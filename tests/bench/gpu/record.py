"""Record of the benchmark, on disk after every row, because its time may end at any moment."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock

Row = dict[str, object]


@dataclass(slots=True)
class Part:
    """Measurements of a part so far."""

    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Measurements for which there was no time."""
    seconds: float = 0.0


class Record:
    """All parts, and a file that has them."""

    def __init__(self, head: Mapping[str, object], output: Path | None) -> None:
        """Start with what is known before; without `output`, nothing is written."""
        self.parts: dict[str, Part] = {}
        self._head = head
        self._output = output
        self._lock = Lock()

    def add(self, part: str, row: Row) -> None:
        """Add a row; any thread may."""
        with self._lock:
            self.parts[part].rows.append(row)
            self.write()

    def leave_out(self, part: str, what: str) -> None:
        """Say what is not measured; any thread may."""
        with self._lock:
            self.parts[part].left_out.append(what)
            self.write()

    def write(self, **more: object) -> None:
        """Write all that there is; the file is whole at any moment."""
        if self._output is None:
            return
        parts = {name: asdict(part) for name, part in self.parts.items()}
        text = json.dumps({**self._head, **more, "parts": parts}, indent=1)
        partial = self._output.with_name(f"{self._output.name}.partial")
        partial.write_text(text + "\n")
        partial.replace(self._output)
