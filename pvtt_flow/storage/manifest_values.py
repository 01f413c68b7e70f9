"""Values of manifests as tables write them: floats for integers, NaN for nothing, own columns."""

import difflib
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import lru_cache
from math import isnan
from typing import Any

MAX_ATTRIBUTES = 100
_MAX_NAME_CHARS = 100
# Of names that are nearly known; `url` and `ids` are not.
_MIN_SIMILARITY = 0.85


def is_null(value: object) -> bool:
    """Return whether a value is null, or NaN, as pandas writes missing values of any type."""
    return value is None or (isinstance(value, float) and isnan(value))


def integral(value: object) -> object:
    """Return a number without fraction as int.

    pandas writes integers beside missing values as floats, and SQL engines write decimals.
    """
    if isinstance(value, Decimal):
        value = float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number_as_text(value: object) -> object:
    """Return a number as text, other values unchanged."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return str(value) if is_number else value


def attributes_of(
    row: Mapping[str, Any], columns: Collection[str], inner: Collection[str]
) -> dict[str, str] | None:
    """Return the own columns of a row as text, None without any.

    `columns` has the names of columns that mean something, `inner` those of fields inside of
    prompts. Raises ValueError for a name that is nearly one of these, and for bytes.
    """
    own = {
        name: value for name, value in row.items() if name not in columns and not _is_index(name)
    }
    for name in own:
        if similar := _similar(name, tuple(columns)):
            raise ValueError(f"{name} is not a known key; did you mean {similar}?")
        if similar := _similar(name, tuple(inner)):
            raise ValueError(
                f"{name} is not a known key; did you mean {similar} of a prompt? Put it into "
                "prompts, or rename a column of your own"
            )
    texts = {
        name: _text(name, value)
        for name, value in own.items()
        if not is_null(value) and value != ""
    }
    if len(texts) > MAX_ATTRIBUTES or any(len(name) > _MAX_NAME_CHARS for name in texts):
        raise ValueError(
            f"must have at most {MAX_ATTRIBUTES} columns of its own with names of at most "
            f"{_MAX_NAME_CHARS} characters, got {len(texts)}"
        )
    return texts or None


def _is_index(name: str) -> bool:
    """Return whether the column is an index of pandas, in CSV or in Parquet."""
    return not name or name.startswith("__index_level_")


@lru_cache(maxsize=1024)
def _similar(name: str, known: tuple[str, ...]) -> str | None:
    matches = difflib.get_close_matches(name.strip().lower(), known, 1, _MIN_SIMILARITY)
    return matches[0] if matches else None


def _text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        raise ValueError(f"{name} must be text or a number, got bytes")  # noqa: TRY004
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
