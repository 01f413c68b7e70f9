"""Commands on model weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pvtt_flow.cli.exit_codes import ExitCode
from pvtt_flow.cli.options import ModelsFolder, console
from pvtt_flow.errors import ConfigError, PreflightError

if TYPE_CHECKING:
    from pvtt_flow.models.checkpoint import Checkpoint

app = typer.Typer(help="List, fetch and verify model weights.", no_args_is_help=True)


@app.command("list")
def models_list(folder: ModelsFolder = None) -> None:
    """Print known weights: names, licenses and places."""
    from pvtt_flow.cli.output import checkpoints_table
    from pvtt_flow.models import checkpoints

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
) -> None:
    """Download weights and verify their hash."""
    from pvtt_flow.models import checkpoints
    from pvtt_flow.storage.streams import open_binary

    checkpoint = checkpoints.known().get(name)
    if checkpoint is None:
        raise ConfigError(f"NAME must be one of {', '.join(checkpoints.known())}; got {name}")
    path = checkpoints.locate(checkpoint, folder, open_binary)
    console().print(f"{name}: {path}, sha256 verified", soft_wrap=True)


@app.command("verify")
def models_verify(folder: ModelsFolder = None) -> None:
    """Verify the hash of all weights that are here."""
    from pvtt_flow.models import checkpoints

    out = console()
    all_verified = True
    for name, checkpoint in checkpoints.known().items():
        path = _path_of(checkpoint, folder)
        if not path.is_file():
            continue
        try:
            checkpoints.verify(path, checkpoint.sha256)
            out.print(f"{name}: ok", highlight=False)
        except PreflightError as error:
            all_verified = False
            out.print(f"{name}: {error}", style="red", soft_wrap=True)
    if not all_verified:
        raise typer.Exit(ExitCode.BAD)


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
