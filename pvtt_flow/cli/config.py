"""Commands on configs."""

import typer

from pvtt_flow.cli.options import ConfigPath, Json, Overrides, load_config, print_json

app = typer.Typer(help="Print a config, or the schema of configs.", no_args_is_help=True)


@app.command("show")
def config_show(
    config: ConfigPath,
    overrides: Overrides = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Print a config with its defaults and overrides."""
    from pvtt_flow.config.loading import dump

    loaded = load_config(config, overrides)
    if as_json:
        print_json(loaded.model_dump(mode="json"))
    else:
        typer.echo(dump(loaded))


@app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configs."""
    from pvtt_flow.config.schema import RunConfig

    print_json(RunConfig.model_json_schema())
