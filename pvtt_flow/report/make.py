"""Make the content of a report from one version of a dataset."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pvtt_flow.core.qc import QcThresholds
from pvtt_flow.dataset.damage import naming_damage
from pvtt_flow.dataset.queries import gone_ids, of_videos, records_of
from pvtt_flow.dataset.snapshot import Snapshot
from pvtt_flow.readers.snapshot import DatasetSnapshot
from pvtt_flow.report.cards import make_cards, masklets_by_video
from pvtt_flow.report.columns import measured_columns
from pvtt_flow.report.comparison import compare
from pvtt_flow.report.content import Card, Kind, ProfileFitness, Report, Run
from pvtt_flow.report.histograms import make_histograms
from pvtt_flow.report.sample import choose_videos, describe_sample
from pvtt_flow.report.strips import make_strip
from pvtt_flow.report.totals import count_totals, group_failures
from pvtt_flow.storage.uris import redact_uri

if TYPE_CHECKING:
    from pvtt_flow.core.profile import Profile

# Columns of `masklets` that are read of all rows: none with a mask.
_COLUMNS = (
    "masklet_id", "video_id", "label", "verdict", "reasons", "good_probability",
    "gone_probability", "qc",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Wishes of whoever asks for a report."""

    num_videos: int = 40
    """Largest number of videos that are shown."""
    seed: int = 0
    with_pictures: bool = True
    against: Snapshot | None = None
    """Earlier version to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Facts of a dataset that are not in its tables."""

    made_at: datetime
    committed_at: datetime | None = None
    runs: Sequence[Run] = ()
    thresholds: Sequence[QcThresholds] = ()
    """Thresholds of the stored verdicts, latest first; empty if they are not known."""
    profiles: "Sequence[Profile]" = ()


def make_report(
    snapshot: Snapshot,
    request: Request,
    background: Background,
    on_card: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Count all rows by their columns, and look at a sample of videos.

    `on_card` is told how many of the videos have their pictures, and of how many.
    """
    dataset = DatasetSnapshot(snapshot, include_gone=True)
    names = measured_columns(dataset)
    thresholds = next(iter(background.thresholds), QcThresholds())
    with (
        naming_damage(dataset.videos().get_fragments()),
        naming_damage(dataset.masklets().get_fragments(), _COLUMNS),
        dataset.duckdb() as db,
    ):
        totals = count_totals(db, num_gone=len(gone_ids(dataset.videos())))
        failures = group_failures(db, dataset.uri)
        histograms = make_histograms(db, names, thresholds)
        kinds = choose_videos(
            db, request.num_videos, request.seed, has_probability="good_probability" in names
        )
        masklets = masklets_by_video(db, list(kinds), names)
    records = records_of(dataset.videos(), list(kinds))
    cards = list(make_cards(kinds, records, masklets, dataset.uri))
    fitness, fitness_note = _fitness(dataset, background.profiles, kinds)
    return Report(
        uri=redact_uri(dataset.uri),
        version=dataset.version,
        committed_at=background.committed_at,
        made_at=background.made_at,
        totals=totals,
        failures=failures,
        histograms=histograms,
        thresholds_note=_thresholds_note(background.thresholds),
        fitness=fitness,
        fitness_note=fitness_note,
        runs=tuple(background.runs),
        sample_note=describe_sample(kinds.values(), totals.videos, request.seed),
        cards=tuple(_with_strips(dataset, cards, on_card) if request.with_pictures else cards),
        comparison=compare(request.against, snapshot) if request.against else None,
    )


def _with_strips(
    dataset: DatasetSnapshot, cards: Sequence[Card], on_card: Callable[[int, int], None]
) -> list[Card]:
    """Draw the strips, with the masks of one video in memory at a time."""
    drawn = []
    for number, card in enumerate(cards):
        on_card(number, len(cards))
        masklets = dataset.masklets_of(card.video.video_id) if card.video.num_masklets else []
        drawn.append(replace(card, strip=make_strip(card.video, masklets)))
    on_card(len(cards), len(cards))
    return drawn


def _fitness(
    dataset: DatasetSnapshot, profiles: "Sequence[Profile]", kinds: Mapping[str, Kind]
) -> tuple[tuple[ProfileFitness, ...], str]:
    """Judge the masklets of the videos that were chosen at random, which stand for all."""
    video_ids = [video_id for video_id, kind in kinds.items() if kind in ("random", "all")]
    if not (profiles and video_ids):
        return (), ""
    verdicts = {profile.name: Counter[str]() for profile in profiles}
    reasons = {profile.name: Counter[str]() for profile in profiles}
    masklet_ids = set()
    for row in dataset.fitness(*profiles, where=of_videos(video_ids)):
        masklet_ids.add(row.masklet_id)
        verdicts[row.fitness.profile][row.fitness.verdict] += 1
        reasons[row.fitness.profile].update(reason.rule for reason in row.fitness.reasons)
    found = tuple(
        ProfileFitness(
            profile=name, verdicts=verdicts[name], reasons=dict(reasons[name].most_common())
        )
        for name in verdicts
    )
    of_all = "all" in kinds.values()
    which = "all videos" if of_all else f"the {len(video_ids):,} videos chosen at random"
    return found, f"{len(masklet_ids):,} masklets of {which}."


def _thresholds_note(thresholds: Sequence[QcThresholds]) -> str:
    if not thresholds:
        return "Those of the last verdicts are not known, so the defaults are drawn."
    if len(thresholds) == 1:
        return "Those of the last verdicts."
    return f"Those of the latest verdicts; older ones are by {len(thresholds) - 1} other sets."
