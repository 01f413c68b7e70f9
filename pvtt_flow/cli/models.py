"""Commands about weights."""

from typing import Annotated

import typer

from pvtt_flow.cli.options import EXIT_FAILURES, ModelsFolder, console

app = typer.Typer(help="Model weights by name.", no_args_is_help=True)


@app.command("list")
def models_list(folder: ModelsFolder = None) -> None:
    """Print the weights that have a name, and where they are."""
    from pvtt_flow.commands.models import list_models

    list_models(folder, console())


@app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="A name of `models list`.")],
    folder: ModelsFolder = None,
) -> None:
    """Download weights from their publisher and check them against the pinned hash."""
    from pvtt_flow.commands.models import fetch_model

    fetch_model(name, folder, console())


@app.command("verify")
def models_verify(folder: ModelsFolder = None) -> None:
    """Check the weights that are there against their pinned hashes."""
    from pvtt_flow.commands.models import verify_models

    if not verify_models(folder, console()):
        raise typer.Exit(EXIT_FAILURES)
