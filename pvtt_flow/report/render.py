"""Render the content of a report as one HTML page that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pvtt_flow.core.printable import printable
from pvtt_flow.report.content import Report

_SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB")


def render(report: Report) -> str:
    """Return the page; every text of the dataset in it is escaped."""
    environment = Environment(
        loader=PackageLoader("pvtt_flow.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {
        "number": number,
        "size": size,
        "duration": duration,
        "data_uri": _data_uri,
        "values_json": _values_json,
    }
    style, script = _asset("style.css"), _asset("filter.js")
    return environment.get_template("page.html").render(
        report=report,
        style=style,
        script=script,
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
    )


def number(value: float | None) -> str:
    """Return a number with four digits, or a dash."""
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def size(num_bytes: int) -> str:
    """Return a number of bytes in decimal units."""
    value, unit = float(num_bytes), 0
    while value >= 1000 and unit < len(_SIZES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.3g} {_SIZES[unit]}" if unit else f"{num_bytes} bytes"


def duration(seconds: float) -> str:
    """Return a duration in the two largest of hours, minutes and seconds."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _finalized(value: object) -> object:
    """Escape controls of texts, which names of files may contain; markup stays."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(str(value), keep_lines=True) if is_text else value


def _asset(name: str) -> Markup:
    """Return a file of the package, which is ours and not escaped."""
    return Markup((files(__package__) / "templates" / name).read_text("utf-8"))  # noqa: S704


def _csp_hash(text: str) -> str:
    """Return the source by which the page's policy allows an inline text, and no other one."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _values_json(values: Mapping[str, float | None]) -> str:
    """Return the values that exist as JSON, for filters."""
    return json.dumps(
        {name: float(f"{value:.6g}") for name, value in values.items() if value is not None}
    )
