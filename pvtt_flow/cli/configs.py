"""Commands about configs."""

import json

import typer

from pvtt_flow.cli.options import ConfigPath, Overrides, loaded_config

app = typer.Typer(help="What a config holds.", no_args_is_help=True)


@app.command("show")
def config_show(config: ConfigPath, overrides: Overrides = None) -> None:
    """Print the whole config, defaults and overrides included."""
    from pvtt_flow.config.loading import dump

    typer.echo(dump(loaded_config(config, overrides)))


@app.command("schema")
def config_schema() -> None:
    """Print the config's JSON schema."""
    from pvtt_flow.config.schema import RunConfig

    typer.echo(json.dumps(RunConfig.model_json_schema(), indent=2))
