"""Progress as plain lines."""


def say(line: str) -> None:
    """Prints at once: a log that is followed shows where the run is."""
    print(line, flush=True)
