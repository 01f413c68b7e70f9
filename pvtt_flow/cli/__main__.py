"""Run `python -m pvtt_flow.cli`."""

from pvtt_flow.cli.app import command

command()
