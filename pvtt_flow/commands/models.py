"""`pvtt-flow models`: weights by name."""

from pathlib import Path

from rich.console import Console

from pvtt_flow.console.tables import checkpoints_table
from pvtt_flow.errors import ConfigError, PreflightError
from pvtt_flow.models import checkpoints
from pvtt_flow.models.checkpoints import Checkpoint
from pvtt_flow.storage.streams import open_binary


def list_models(folder: str | None, console: Console) -> None:
    """Print every name and where its file is."""
    found = {name: (c, _where(_file(c, folder))) for name, c in checkpoints.known().items()}
    console.print(checkpoints_table(found))


def fetch_model(name: str, folder: str | None, console: Console) -> None:
    """Bring one file into the folder, verified."""
    checkpoint = checkpoints.known().get(name)
    if checkpoint is None:
        raise ConfigError(f"NAME must be one of {', '.join(checkpoints.known())}; got {name}")
    path = checkpoints.locate(checkpoint, folder, open_binary)
    console.print(f"{name}: {path}, sha256 verified", soft_wrap=True)


def verify_models(folder: str | None, console: Console) -> bool:
    """Check every file that is there; whether all of them are right."""
    right = True
    for name, checkpoint in checkpoints.known().items():
        path = _file(checkpoint, folder)
        if not path.is_file():
            continue
        try:
            checkpoints.verify(path, checkpoint.sha256)
            console.print(f"{name}: ok", highlight=False)
        except PreflightError as error:
            right = False
            console.print(f"{name}: {error}", style="red", soft_wrap=True)
    return right


def _file(checkpoint: Checkpoint, folder: str | None) -> Path:
    if checkpoint.url is None:
        return checkpoints.embedded_file(checkpoint.file_name)
    return (Path(folder) if folder else checkpoints.default_folder()) / checkpoint.file_name


def _where(path: Path) -> str:
    return str(path) if path.is_file() else "not here; `pvtt-flow models fetch` brings it"
