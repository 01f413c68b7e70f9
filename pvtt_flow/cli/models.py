"""Commands on model weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import Json, ModelsFolder, console, print_json, report
from pvtt_flow.core.printable import printable
from pvtt_flow.errors import ConfigError, PreflightError

if TYPE_CHECKING:
    from pvtt_flow.models.checkpoint import Checkpoint

app = typer.Typer(help="List, fetch and verify model weights.", no_args_is_help=True)


@app.command("list")
def models_list(folder: ModelsFolder = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Print known weights: names, licenses and places."""
    from pvtt_flow.cli.output import checkpoints_table
    from pvtt_flow.models import checkpoints

    if as_json:
        known = checkpoints.known().values()
        print_json([_facts(checkpoint, _path_of(checkpoint, folder)) for checkpoint in known])
        return
    rows = []
    for name, checkpoint in checkpoints.known().items():
        path = _path_of(checkpoint, folder)
        place = _place(checkpoint, path)
        rows.append((name, checkpoint.kind, checkpoint.file_name, checkpoint.license, place))
    console().print(checkpoints_table(rows))


@app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="A name of `models list`.")],
    folder: ModelsFolder = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Download weights and verify their hash."""
    from pvtt_flow.models import checkpoints
    from pvtt_flow.storage.streams import open_binary

    checkpoint = checkpoints.known().get(name)
    if checkpoint is None:
        raise ConfigError(f"NAME must be one of {', '.join(checkpoints.known())}; got {name}")
    path = checkpoints.locate(checkpoint, folder, open_binary)
    facts = {"name": name, "path": str(path), "sha256": checkpoint.sha256}
    report(f"{name}: {path}, sha256 verified", facts, as_json=as_json)


@app.command("verify")
def models_verify(folder: ModelsFolder = None, as_json: Json = False) -> None:  # noqa: FBT002
    """Verify the hash of all weights that are here."""
    from pvtt_flow.models import checkpoints

    errors: dict[str, str | None] = {}
    for name, checkpoint in checkpoints.known().items():
        path = _path_of(checkpoint, folder)
        if not path.is_file():
            continue
        errors[name] = _error_of(path, checkpoint)
        if not as_json:
            style = None if errors[name] is None else "red"
            line = printable(f"{name}: {errors[name] or 'ok'}")
            console().print(line, style=style, highlight=False, soft_wrap=True)
    if as_json:
        rows = ({"name": name, "error": error} for name, error in errors.items())
        print_json([{**row, "ok": row["error"] is None} for row in rows])
    if any(error is not None for error in errors.values()):
        raise typer.Exit(ExitCode.BAD)


def _error_of(path: Path, checkpoint: "Checkpoint") -> str | None:
    """Return what is wrong with the file of some weights; None if nothing is."""
    from pvtt_flow.models import checkpoints

    try:
        checkpoints.verify(path, checkpoint.sha256)
    except PreflightError as error:
        return str(error)
    return None


def _facts(checkpoint: "Checkpoint", path: Path) -> dict[str, object]:
    return {
        "name": checkpoint.name,
        "kind": checkpoint.kind,
        "file_name": checkpoint.file_name,
        "license": checkpoint.license,
        "sha256": checkpoint.sha256,
        "url": checkpoint.url,
        "gated": checkpoint.gated,
        "path": str(path),
        "is_here": path.is_file(),
    }


def _place(checkpoint: "Checkpoint", path: Path) -> str:
    if path.is_file():
        return str(path)
    if checkpoint.gated:
        return f"not here; accept the license at {checkpoint.url}, then put the file here"
    return "not here; `pvtt-flow models fetch` downloads it"


def _path_of(checkpoint: "Checkpoint", folder: str | None) -> Path:
    from pvtt_flow.models import checkpoints

    if checkpoint.url is None:
        return checkpoints.embedded_file(checkpoint.file_name)
    return (Path(folder) if folder else checkpoints.default_folder()) / checkpoint.file_name
