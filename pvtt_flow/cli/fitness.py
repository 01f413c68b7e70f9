"""Commands on the profiles of consumers: the table of them, and fitness for them."""

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pvtt_flow.cli.options import DatasetUri, Json, console, known_values, print_json
from pvtt_flow.core.printable import printable
from pvtt_flow.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pvtt_flow.core.profile import Profile
    from pvtt_flow.readers.fitness import MaskletFitness

_VERDICTS = ("fit", "fixable", "unfit")


def fitness(
    dataset: DatasetUri,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="A name of `profiles`, or a .yaml file; repeatable. Default: all of them.",
        ),
    ] = None,
    verdicts: Annotated[
        list[str] | None,
        typer.Option(
            "--verdict", metavar="VERDICT", help="Masklets with this verdict only; repeatable."
        ),
    ] = None,
    listed: Annotated[  # noqa: FBT002
        bool, typer.Option("--list", help="Print a line for each masklet, with what to do.")
    ] = False,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Count the masklets that suit each consumer, with the reasons.

    Profiles describe the consumers. Needs neither the videos nor a model, and changes nothing.
    """
    from pvtt_flow import open_dataset
    from pvtt_flow.dataset.queries import verdict_is
    from pvtt_flow.types import VerdictName

    profiles = _profiles(names)
    wanted = known_values("--verdict", verdicts, get_args(VerdictName))
    where = verdict_is(wanted) if wanted else None
    rows = open_dataset(dataset).fitness(*profiles, where=where)
    if listed:
        _list(rows, as_json=as_json)
    else:
        _count(profiles, rows, as_json=as_json)


def profiles(as_json: Json = False) -> None:  # noqa: FBT002
    """Print the profiles: what each consumer of masks and boxes reads."""
    from rich.table import Table

    from pvtt_flow.export.profiles import facts, shipped

    rows = [facts(profile) for profile in shipped()]
    if as_json:
        print_json([profile.model_dump(mode="json") for profile in shipped()])
        return
    table = Table(title="profiles", title_justify="left")
    for column in rows[0]:
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*row.values())
    console().print(table)


def _profiles(names: "Sequence[str] | None") -> "Sequence[Profile]":
    from pvtt_flow.export.profiles import load_profile, shipped

    profiles = [load_profile(name) for name in names] if names else shipped()
    known = Counter(profile.name for profile in profiles)
    if repeated := [name for name, count in known.items() if count > 1]:
        raise ConfigError(
            f"--profile must be given once for each name, got {repeated[0]} {known[repeated[0]]} "
            "times; give your copy a name of its own"
        )
    return profiles


def _list(rows: "Iterable[MaskletFitness]", *, as_json: bool) -> None:
    """Print id, profile, verdict, reasons and remedy with tabs between them, or JSON."""
    for row in rows:
        if as_json:
            fields = asdict(row.fitness)
            fields["reasons"] = [reason._asdict() for reason in row.fitness.reasons]
            qc = {"qc_verdict": row.verdict}
            ids = {"masklet_id": row.masklet_id, "video_id": row.video_id}
            typer.echo(json.dumps({**ids, **qc, **fields}))
        else:
            found = row.fitness
            reasons = "; ".join(reason.text for reason in found.reasons)
            cells = (row.masklet_id, found.profile, found.verdict, reasons, found.remedy)
            typer.echo("\t".join(map(printable, cells)))


def _count(
    profiles: "Sequence[Profile]", rows: "Iterable[MaskletFitness]", *, as_json: bool
) -> None:
    verdicts = {profile.name: Counter[str]() for profile in profiles}
    reasons = {profile.name: Counter[str]() for profile in profiles}
    for row in rows:
        verdicts[row.fitness.profile][row.fitness.verdict] += 1
        reasons[row.fitness.profile].update(reason.rule for reason in row.fitness.reasons)
    counts = {
        name: {**{v: counted[v] for v in _VERDICTS}, "reasons": dict(reasons[name].most_common())}
        for name, counted in verdicts.items()
    }
    if as_json:
        print_json(counts)
    else:
        _print_counts(counts)


def _print_counts(counts: "dict[str, dict[str, Any]]") -> None:
    from rich.table import Table

    table = Table(title="masklets by fitness", title_justify="left")
    table.add_column("profile")
    for verdict in _VERDICTS:
        table.add_column(verdict, justify="right")
    table.add_column("reasons", overflow="fold")
    for name, counted in counts.items():
        reasons = ", ".join(f"{n} {rule}" for rule, n in counted["reasons"].items())
        table.add_row(name, *(str(counted[v]) for v in _VERDICTS), reasons)
    console().print(table)
