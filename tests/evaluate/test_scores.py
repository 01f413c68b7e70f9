"""Scores equal to those of the benchmarks' own evaluators, and what they do with gaps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvtt_flow.errors import ConfigError
from pvtt_flow.evaluate.counts import Counts
from pvtt_flow.evaluate.scores import SequenceScores, score_sequence
from pvtt_flow.evaluate.statistics import statistics
from pvtt_flow.evaluate.truth import TrueSequence, read_truth
from pvtt_flow.types import Origin
from tests.evaluate.annotated import (
    GUESSES,
    NUM_FRAMES,
    TRUTH,
    masklets,
    write_labels,
    write_objects,
)

# Printed by davis2017-evaluation 30b698a (semi-supervised) for `ball`, with these files.
DAVIS = {
    1: ((0.3718521538210786, 0.35294117647058826, 0.752998180920375),
        (0.3894542428871301, 0.23529411764705882, 0.6706410845490791)),
    2: ((0.4922088185914438, 0.47058823529411764, 0.5672147389184051),
        (0.45430603834202093, 0.4117647058823529, 0.6572576031391852)),
    3: ((0.6043111993458359, 0.47058823529411764, 0.6527314185364104),
        (0.40876933575688823, 0.29411764705882354, 0.8793727046397197)),
}  # fmt: skip
# Printed by facebookresearch/sam2's sav_benchmark.py 0c5f8c5, J and F in percent.
SAV = {
    ("ball", 1): (37.18521538210786, 38.945424288713006),
    ("ball", 2): (49.22088185914438, 45.430603834202095),
    ("ball", 3): (43.944086573993424, 16.24232256555917),
    ("cup", 1): (35.05506586715651, 37.60046556888609),
    ("cup", 2): (35.87914961068158, 26.390830873711707),
    ("cup", 3): (23.18517619634809, 10.652167943204507),
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrueSequence]:
    folder = tmp_path_factory.mktemp("davis") / "Annotations" / "480p"
    for name, labels in TRUTH.items():
        write_labels(folder / name, labels)
    return {sequence.name: sequence for sequence in read_truth(folder)}


def score(truth: TrueSequence) -> SequenceScores:
    return score_sequence(truth, masklets(truth.name, GUESSES[truth.name]))


def test_equal_to_davis_2017(truth: dict[str, TrueSequence]) -> None:
    found = score(truth["ball"])
    assert found.matched_by == "object_id"
    assert {each.object_id for each in found.objects} == DAVIS.keys()
    for each in found.objects:
        for values, expected in zip((each.j, each.f), DAVIS[each.object_id], strict=True):
            shown = statistics(values)
            assert (shown.mean, shown.recall, shown.decay) == pytest.approx(expected, abs=1e-9)


def test_equal_to_the_evaluator_of_sa_v(tmp_path: Path) -> None:
    for name, labels in TRUTH.items():
        write_objects(tmp_path / "Annotations_6fps" / name, labels)
    found = [each for sequence in read_truth(tmp_path) for each in score(sequence).objects]
    assert {(each.sequence, each.object_id) for each in found} == SAV.keys()
    for each in found:
        expected = SAV[each.sequence, each.object_id]
        assert (100 * each.j.mean(), 100 * each.f.mean()) == pytest.approx(expected, abs=1e-7)


def test_an_object_counts_from_the_frame_on_that_shows_it(truth: dict[str, TrueSequence]) -> None:
    # The third object of `cup` is there from frame 4 on, and its mask from frame 3 on.
    third = score(truth["cup"]).objects[2]
    assert len(third.j) == NUM_FRAMES - 1 - 3
    assert third.counts == Counts(14, 0, 0, hallucinated=1, noticed_absence=0)


def test_counts(truth: dict[str, TrueSequence]) -> None:
    # Missed on frames 6 and 7, absent on 8 to 12, shown again on 11 and 12.
    second = score(truth["ball"]).objects[1]
    assert second.counts == Counts(10, 0, missed=2, hallucinated=2, noticed_absence=3)


def test_detected_products_are_matched_by_overlap(truth: dict[str, TrueSequence]) -> None:
    expected = score(truth["ball"])
    guesses = masklets("ball", GUESSES["ball"], origin="detector", first_id=0)
    found = score_sequence(truth["ball"], guesses[::-1])
    assert found.matched_by == "overlap"
    for actual, wanted in zip(found.objects, expected.objects, strict=True):
        assert actual.object_id == wanted.object_id
        np.testing.assert_array_equal(actual.j, wanted.j)


def test_a_masklet_that_overlaps_with_nothing_is_of_no_object(
    truth: dict[str, TrueSequence],
) -> None:
    first = masklets("ball", TRUTH["ball"] * (TRUTH["ball"] == 1), origin="detector")
    far = np.zeros_like(TRUTH["ball"])
    far[:, -4:, :4] = 1
    found = score_sequence(truth["ball"], [*masklets("ball", far, origin="detector"), *first])
    assert [len(each.masklet_ids) for each in found.objects] == [1, 0, 0]
    assert found.objects[0].j.tolist() == [1.0] * (NUM_FRAMES - 2)


def test_masklets_of_two_shots_are_one_object(truth: dict[str, TrueSequence]) -> None:
    whole = masklets("ball", GUESSES["ball"])[0]
    parts = [
        replace(
            whole, masklet_id=f"part {index}", shot_index=index, start_frame=start,
            stop_frame=stop, frames=whole.frames[start:stop],
        )
        for index, (start, stop) in enumerate([(0, 7), (7, NUM_FRAMES)])
    ]  # fmt: skip
    found = score_sequence(truth["ball"], parts[::-1]).objects[0]
    assert found.masklet_ids == ("part 0", "part 1")
    np.testing.assert_array_equal(found.j, score(truth["ball"]).objects[0].j)


def test_frames_that_sampling_left_out_do_not_count(truth: dict[str, TrueSequence]) -> None:
    sampled = [replace(m, frames=m.frames[::3]) for m in masklets("ball", GUESSES["ball"])]
    found = score_sequence(truth["ball"], sampled)
    assert found.num_left_out == NUM_FRAMES - 7
    whole = score(truth["ball"]).objects[0]
    # Frames 3, 6, … 15; frames 0 and 18 are the ends. `j` begins with frame 1.
    np.testing.assert_array_equal(found.objects[0].j, whole.j[2:-1:3])
    none = [replace(m, frames=()) for m in sampled]
    with pytest.raises(ConfigError, match="ball: at least one annotated frame must have been"):
        score_sequence(truth["ball"], none)


def test_a_video_without_masklets_has_empty_masks(truth: dict[str, TrueSequence]) -> None:
    found = score_sequence(truth["cup"], [])
    first = found.objects[0]
    assert first.counts == Counts(0, 0, missed=14, hallucinated=0, noticed_absence=3)
    assert first.j.tolist() == [0.0] * 14 + [1.0] * 3


@pytest.mark.parametrize("origin", ["manifest", "detector"])
def test_another_size_is_refused(truth: dict[str, TrueSequence], origin: Origin) -> None:
    large = masklets("ball", GUESSES["ball"].repeat(2, 1).repeat(2, 2), origin=origin)
    with pytest.raises(ConfigError, match="must have the video's size, 256 x 192, got 128 x 96"):
        score_sequence(truth["ball"], large)
