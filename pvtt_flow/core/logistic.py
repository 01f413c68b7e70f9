"""Logistic models: probabilities from a few numbers that may be unknown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Numbers unlike any that a model was fitted to say no more than the strangest of those.
MAX_DEVIATIONS = 4.0

Features = Mapping[str, float | None]
"""Numbers by name; None where a number is unknown."""


@dataclass(frozen=True, slots=True)
class Term:
    """Feature of a model."""

    mean: float
    """Mean of the data that the model was fitted to; `deviation` is their standard deviation."""
    deviation: float
    weight: float
    """Change of the logit for each standard deviation."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Model of a probability."""

    intercept: float
    """Logit where all features have their means."""
    terms: Mapping[str, Term]

    def probability(self, features: Features) -> float:
        """Return the probability; an unknown feature counts as its mean.

        Raises KeyError for a feature that is missing altogether.
        """
        logit = self.intercept + sum(
            term.weight * standardized(features[name], term) for name, term in self.terms.items()
        )
        return 1 / (1 + math.exp(-logit))


def standardized(value: float | None, term: Term) -> float:
    """Return the deviations from the mean, at most 4 in size; 0 for an unknown value."""
    if value is None or math.isnan(value):
        return 0.0
    deviations = (value - term.mean) / term.deviation
    return min(max(deviations, -MAX_DEVIATIONS), MAX_DEVIATIONS)
