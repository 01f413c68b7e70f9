"""Formats by name."""

from difflib import get_close_matches

from pvtt_flow.errors import ConfigError
from pvtt_flow.export.formats.davis import Davis, YouTubeVos
from pvtt_flow.export.formats.format import Format, FormatOptions

FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in (Davis, YouTubeVos)}


def make_format(name: str, options: FormatOptions) -> Format:
    """Return the format of this name; raises ConfigError if there is none."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(FORMATS)}"
        raise ConfigError(f"--format must be a known format, got {name!r}; {advice}")
    return FORMATS[name](options)
