"""The command line. Each command is a thin call; heavy imports wait until one is chosen."""

from pvtt_flow.cli.app import app, command, main

__all__ = ["app", "command", "main"]
