"""Write JSON files: small values at once, and objects with long lists an item at a time."""

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a small value."""
    path.write_text(json.dumps(value, ensure_ascii=False))


class JsonLists:
    """File `{...head, "images": [...], "annotations": [...]}`, written an item at a time.

    Each list grows in a file of its own; closing puts them together.
    """

    def __init__(self, path: Path, head: dict[str, Any], lists: tuple[str, ...]) -> None:
        self._path = path
        self._head = head
        path.parent.mkdir(parents=True, exist_ok=True)
        self._parts: dict[str, IO[str]] = {
            name: path.with_name(f".{path.name}.{name}").open("w+") for name in lists
        }
        self._counts = dict.fromkeys(lists, 0)

    def append(self, name: str, item: dict[str, Any]) -> int:
        """Add an item to a list, with its number from 1 as `id`; return that."""
        number = self._counts[name] = self._counts[name] + 1
        separator = "" if number == 1 else ",\n"
        self._parts[name].write(separator + json.dumps({"id": number, **item}, ensure_ascii=False))
        return number

    def count(self, name: str) -> int:
        """Return the number of items in a list."""
        return self._counts[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._assemble()
        for part in self._parts.values():
            part.close()
            Path(part.name).unlink()

    def _assemble(self) -> None:
        with self._path.open("w") as file:
            file.write("{")
            for name, value in self._head.items():
                file.write(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n")
            for number, (name, part) in enumerate(self._parts.items()):
                file.write(f"{',' if number else ''}{json.dumps(name)}: [\n")
                part.seek(0)
                while chunk := part.read(1 << 20):
                    file.write(chunk)
                file.write("]\n")
            file.write("}\n")
