"""Evaluate a dataset: every annotated sequence, on all cores."""

from collections.abc import Iterator, Sequence

from pvtt_flow.core.threads import map_in_threads
from pvtt_flow.evaluate.pair import pair
from pvtt_flow.evaluate.scores import SequenceScores, score_sequence
from pvtt_flow.evaluate.truth import TrueSequence
from pvtt_flow.readers.snapshot import DatasetSnapshot


def evaluate_dataset(
    dataset: DatasetSnapshot, truth: Sequence[TrueSequence]
) -> Iterator[SequenceScores]:
    """Yield the scores of each sequence as it is ready.

    A video that failed has empty masks, and counts. Raises ConfigError before the first one if a
    sequence has no video.
    """
    videos = pair(dataset.list_videos(), [sequence.name for sequence in truth])

    def score(sequence: TrueSequence) -> SequenceScores:
        return score_sequence(sequence, dataset.masklets_of(videos[sequence.name].video_id))

    return map_in_threads(score, truth)
