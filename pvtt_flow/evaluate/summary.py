"""Numbers to show: the measures of an object, and their means over a set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from pvtt_flow.evaluate.counts import total
from pvtt_flow.evaluate.scores import ObjectScores, SequenceScores
from pvtt_flow.evaluate.statistics import mean_of_objects, statistics

Row = Mapping[str, float | int]
MEANS = ("jf", "j", "j_recall", "j_decay", "f", "f_recall", "f_decay", "boundary_iou")
"""Measures of which a set has the mean over its objects."""


def object_row(scores: ObjectScores) -> Row:
    """Return the measures of one object: means over its frames, and counts of them."""
    j, f = statistics(scores.j), statistics(scores.f)
    return {
        "jf": (j.mean + f.mean) / 2,
        "j": j.mean, "j_recall": j.recall, "j_decay": j.decay,
        "f": f.mean, "f_recall": f.recall, "f_decay": f.decay,
        "boundary_iou": statistics(scores.boundary_iou).mean,
        "frames": len(scores.j),
        **asdict(scores.counts),
    }  # fmt: skip


def set_row(sequences: Sequence[SequenceScores]) -> Row:
    """Return the means over all objects of some sequences, and the counts of all their frames.

    `jf_standard_error` is of the mean over objects, with sequences as clusters. Objects without a
    frame that counts are left out.
    """
    objects = [each for sequence in sequences for each in sequence.objects if len(each.j)]
    rows = [object_row(each) for each in objects]
    names = np.array([each.sequence for each in objects], np.str_)
    means = {key: mean_of_objects(np.array([row[key] for row in rows]), names) for key in MEANS}
    counts = total(each.counts for each in objects)
    return {
        "sequences": len(sequences), "objects": len(objects),
        **{key: mean.value for key, mean in means.items()},
        "jf_standard_error": means["jf"].standard_error,
        "frames": sum(len(each.j) for each in objects),
        **asdict(counts),
        "robustness": counts.robustness, "not_reported": counts.not_reported,
        "drift": counts.drift, "absence_detection": counts.absence_detection,
    }  # fmt: skip
