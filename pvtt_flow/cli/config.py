"""Commands on configs."""

import json

import typer

from pvtt_flow.cli.options import ConfigPath, Overrides, load_config

app = typer.Typer(help="Print a config, or the schema of configs.", no_args_is_help=True)


@app.command("show")
def config_show(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print a config with its defaults and overrides."""
    from pvtt_flow.config.loading import dump

    typer.echo(dump(load_config(config, overrides)))


@app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configs."""
    from pvtt_flow.config.schema import RunConfig

    typer.echo(json.dumps(RunConfig.model_json_schema(), indent=2))
