"""Progress as plain lines."""


def say(line: str) -> None:
    """Print a line and flush it: a log shows the progress at once."""
    print(line, flush=True)
