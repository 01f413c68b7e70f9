"""The base class of config sections and of other values that come from outside."""

import re
from typing import get_args

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


class Params(BaseModel):
    """Frozen and checked: no unknown keys, no type conversion, no infinity or NaN.

    Subclasses stand next to the algorithm that they configure. The string after a field becomes
    the field's description in the JSON schema and in configs/README.md.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def value_range(field: FieldInfo) -> str | None:
    """Return the interval that a number must lie in, as `[0, 1]`; None if there are no bounds."""
    # The bounds of `Annotated[int, Field(ge=1)] | None` belong to the first option.
    options = get_args(field.annotation)
    infos = (info for option in options for info in getattr(option, "__metadata__", ()))
    rules = [*field.metadata, *(rule for info in infos for rule in getattr(info, "metadata", ()))]
    bounds = {
        name: getattr(rule, name)
        for rule in rules
        for name in ("ge", "gt", "le", "lt")
        if hasattr(rule, name)
    }
    if not bounds:
        return None
    low = f"[{bounds['ge']}" if "ge" in bounds else f"({bounds.get('gt', '-inf')}"
    high = f"{bounds['le']}]" if "le" in bounds else f"{bounds.get('lt', 'inf')})"
    return f"{low}, {high}"


def broken_rule(error: ErrorDetails) -> str:
    """Return the rule that a value breaks, as it follows "must": `be a valid integer`."""
    rule = re.sub(r"^(Input|String|List) should ", "", error["msg"])
    return re.sub(r" after validation, not \d+$", "", rule)
