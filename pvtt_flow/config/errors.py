"""Explain what is wrong with a config: the path, the rule, the value, and what to write instead."""

import difflib
import json
from collections.abc import Sequence
from typing import cast, get_args

from pydantic_core import ErrorDetails

from pvtt_flow.config.schema import RunConfig
from pvtt_flow.params import Params, broken_rule, value_range

RENAMED_KEYS = {
    "limits.max_frame_s": "limits.frame_timeout_s",
    "tracker.lanes": "tracker.max_concurrent_shots",
    "qc.area_min_review": "qc.area_min",
    "qc.area_max_review": "qc.area_max",
    "qc.area_jump_review": "qc.area_jump_max",
    "qc.box_jump_review": "qc.box_jump_max",
    "qc.fragments_review": "qc.fragments_max",
    "qc.object_score_review": "qc.object_score_min",
    "qc.predicted_iou_review": "qc.predicted_iou_min",
    "qc.prompt_iou_review": "qc.prompt_iou_min",
    "qc.visibility_flips_review": "qc.visibility_flips_max",
}
"""Keys of older configs and their present names."""

Location = Sequence[int | str]
"""Keys and list positions that lead from the config's root to a value."""


def explain(error: ErrorDetails, root: type[Params] = RunConfig) -> str:
    """Return one line such as `$.detect.min_score must be in [0, 1], got 1.5`.

    `root` is the class that was validated.
    """
    location = error["loc"]
    path = "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location)
    if error["type"] == "extra_forbidden":
        return f"{path} {_explain_unknown(location, root)}"
    if error["type"] == "missing":
        return f"{path} must be given"
    if error["type"] == "value_error":  # from a validator of ours, with a whole message
        message = error["msg"].removeprefix("Value error, ")
        return f"{path} {message}" if message.startswith("must ") else f"{path}: {message}"
    return f"{path} must {_rule(error, root)}, got {json.dumps(error['input'], default=str)}"


def _explain_unknown(location: Location, root: type[Params]) -> str:
    new_name = RENAMED_KEYS.get(".".join(map(str, location)))
    if root is RunConfig and new_name:
        return f"is now called $.{new_name}"
    known = list(_section_at(location[:-1], root).model_fields)
    similar = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {similar[0]}?" if similar else f"known keys: {', '.join(known)}"
    return f"is not a known key; {hint}"


def _rule(error: ErrorDetails, root: type[Params]) -> str:
    # pydantic reports only the bound that a number exceeds; people want the whole interval.
    if error["type"].startswith(("greater_than", "less_than", "finite")):
        *parents, key = error["loc"]
        if interval := value_range(_section_at(parents, root).model_fields[str(key)]):
            return f"be in {interval}"
    return broken_rule(error)


def _section_at(location: Location, root: type[Params]) -> type[Params]:
    section = root
    for key in location:
        kind = section.model_fields[str(key)].annotation
        # A section that may be null is the first option.
        section = cast("type[Params]", next(iter(get_args(kind)), kind))
    return section
