"""Explain what is wrong with a config: the path, the rule, the value, and what to write instead."""

import difflib
import json
from collections.abc import Sequence
from typing import cast

from pydantic_core import ErrorDetails

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.params import Params, broken_rule, value_range

RENAMED_KEYS = {
    "limits.max_frame_s": "limits.frame_timeout_s",
    "tracker.lanes": "tracker.max_concurrent_shots",
}
"""Keys of older configs and their present names."""

Location = Sequence[int | str]
"""Keys and list positions that lead from the config's root to a value."""


def explain(error: ErrorDetails) -> str:
    """Return one line such as `$.detect.min_score must be in [0, 1], got 1.5`."""
    location = error["loc"]
    path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location)
    if error["type"] == "extra_forbidden":
        return f"{path} {_explain_unknown(location)}"
    if error["type"] == "missing":
        return f"{path} must be given"
    if error["type"] == "value_error":  # from a validator of ours, with a whole message
        message = error["msg"].removeprefix("Value error, ")
        return f"{path} {message}" if message.startswith("must ") else f"{path}: {message}"
    return f"{path} must {_rule(error)}, got {json.dumps(error['input'], default=str)}"


def _explain_unknown(location: Location) -> str:
    if new_name := RENAMED_KEYS.get(".".join(map(str, location))):
        return f"is now called $.{new_name}"
    known = list(_section_at(location[:-1]).model_fields)
    similar = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {similar[0]}?" if similar else f"known keys: {', '.join(known)}"
    return f"is not a known key; {hint}"


def _rule(error: ErrorDetails) -> str:
    # pydantic reports only the bound that a number exceeds; people want the whole interval.
    if error["type"].startswith(("greater_than", "less_than", "finite")):
        *parents, key = error["loc"]
        if interval := value_range(_section_at(parents).model_fields[str(key)]):
            return f"be in {interval}"
    return broken_rule(error)


def _section_at(location: Location) -> type[Params]:
    section: type[Params] = RunConfig
    for key in location:
        section = cast("type[Params]", section.model_fields[str(key)].annotation)
    return section
