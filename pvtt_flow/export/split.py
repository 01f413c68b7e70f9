"""Divide sequences into splits such as train and val, always in the same way.

The hash of a group's name decides, so that a video stays in its split when others come or go, and
all videos of a group (one product, say) are in the same split.
"""

from dataclasses import dataclass

from pvtt_flow.core.ids import digest
from pvtt_flow.errors import ConfigError

_HASH_DIGITS = 13  # as many as a float holds exactly
_ADVICE = "write --split train=0.8,val=0.2, or the manifest column that names the split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rule that gives a group its split."""

    fractions: tuple[tuple[str, float], ...] = ()
    """Names of splits with their fractions, which sum to 1; empty takes the group as the name."""
    column: str | None = None
    """Manifest column of the group; null: each video is a group of its own."""

    def name_of(self, group: str) -> str:
        """Return the split of a group."""
        if not self.fractions:
            return group
        place = int(digest(group, _HASH_DIGITS), 16) / 16**_HASH_DIGITS
        edge = 0.0
        for name, fraction in self.fractions:
            edge += fraction
            if place < edge:
                return name
        return self.fractions[-1][0]


def parse_split(text: str, column: str | None = None) -> Split:
    """Parse `train=0.8,val=0.2`, with a manifest column to divide by, or a column of split names.

    Raises ConfigError for fractions that do not sum to 1, and for a name that is given twice.
    """
    if "=" not in text:
        if column is not None:
            raise ConfigError(f"--split-by must be with fractions, got --split {text!r}; {_ADVICE}")
        return Split(column=text)
    fractions = tuple(_fraction(part) for part in text.split(","))
    names = [name for name, _ in fractions]
    total = sum(fraction for _, fraction in fractions)
    if len({*names}) < len(names) or abs(total - 1) > 1e-6:
        raise ConfigError(
            f"--split must have different names whose fractions sum to 1, got {text!r} "
            f"({total:g}); {_ADVICE}"
        )
    return Split(fractions=fractions, column=None if column == "video" else column)


def _fraction(part: str) -> tuple[str, float]:
    name, _, value = part.partition("=")
    try:
        fraction = float(value)
    except ValueError:
        fraction = -1.0
    if not name.strip().isidentifier() or not 0 < fraction <= 1:
        raise ConfigError(
            f"--split must have parts such as train=0.8, in (0, 1], got {part!r}; {_ADVICE}"
        )
    return name.strip(), fraction
