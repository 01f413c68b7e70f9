"""Command line: one file for each group of commands, which import what they need when called."""

from pvtt_flow.cli.app import app, command, main

__all__ = ["app", "command", "main"]
