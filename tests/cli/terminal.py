"""The `pvtt-flow` command in this process, as a shell would see it."""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from pvtt_flow.cli import main

# Wide, so that tables are not folded and a message is found in one piece.
COLUMNS = "400"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def pvtt_flow(*arguments: object) -> Ended:
    """Run the command; only its exit is caught, so that a bug shows its traceback."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["pvtt-flow", *map(str, arguments)]
    terminal = {"COLUMNS": COLUMNS, "NO_COLOR": "1"}
    with (
        patch.dict(os.environ, terminal),
        patch.object(sys, "argv", argv),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        else:
            code = 0
    return Ended(code, out.getvalue(), err.getvalue())
