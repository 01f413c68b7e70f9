"""Columns of `masklets` that measure a masklet; older versions of the table have fewer."""

from dataclasses import fields
from typing import TYPE_CHECKING

from pvtt_flow.report.histograms import PROBABILITIES
from pvtt_flow.types import Measurements

if TYPE_CHECKING:
    from pvtt_flow.readers.snapshot import DatasetSnapshot


def measured_columns(dataset: "DatasetSnapshot") -> tuple[str, ...]:
    """Return the names of the probabilities and of the fields of `qc` that the table has."""
    schema = dataset.masklets().schema
    stored = {field.name for field in schema.field("qc").type}
    measurements = (field.name for field in fields(Measurements))
    return (
        *(name for name in PROBABILITIES if name in schema.names),
        *(name for name in measurements if name in stored),
    )
