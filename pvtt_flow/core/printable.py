"""Text that is safe to print: names of files and messages may contain controls."""

import re

# Controls of a terminal, and marks that turn or break lines, which names of files may contain.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, keep_lines: bool = False) -> str:
    """Return a text with its control characters escaped, as `\\x1b`."""

    def escaped(match: "re.Match[str]") -> str:
        is_kept = keep_lines and match[0] == "\n"
        return match[0] if is_kept else match[0].encode("unicode_escape").decode()

    return _CONTROLS.sub(escaped, text)
