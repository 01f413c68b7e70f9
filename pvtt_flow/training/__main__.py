"""Commands that render, train, measure and write what ships."""

from pathlib import Path
from typing import Annotated

import typer

from pvtt_flow.training.progress import say

app = typer.Typer(no_args_is_help=True, help=__doc__)
Work = Annotated[Path, typer.Option(help="Folder of clips and checkpoints.")]
DEFAULT_WORK = Path("training_work")


@app.command()
def render(
    work: Work = DEFAULT_WORK, clips: int = 4000, long_clips: int = 600, held_out: int = 100,
    stills: int = 6000, processes: int = 2,
) -> None:  # fmt: skip
    """Render what is missing: 8-frame and 16-frame training clips, held-out clips, stills."""
    from pvtt_flow.training import corpus
    from pvtt_flow.training import stills as pictures

    plan = (("held_out", 24, held_out), ("train", 8, clips), ("train", 16, long_clips))
    for split, num_frames, count in plan:
        done = corpus.render(work / "corpus", split, num_frames, count, processes=processes)
        for path in done:
            typer.echo(path.name)
    for split, count in (("train", stills), ("held_out", max(1, stills // 12))):
        for path in pictures.render(work / "stills", split, count, processes=processes):
            typer.echo(path.name)


@app.command()
def segmenter(work: Work = DEFAULT_WORK, processes: int = 2, export_only: bool = False) -> None:
    """Train the compact SAM 2, or go on where it stopped; write its averaged weights."""
    from pvtt_flow.training.segmenter.command import train_segmenter

    train_segmenter(work, processes=processes, export_only=export_only, report=say)


@app.command()
def detector(
    work: Work = DEFAULT_WORK, iterations: int = 2000, processes: int = 2, export_only: bool = False
) -> None:
    """Train the compact YOLO, or go on where it stopped; write its stripped weights."""
    from pvtt_flow.training.detector.train import train_detector

    train_detector(
        work, iterations=iterations, processes=processes, export_only=export_only, report=say
    )


@app.command()
def evaluate(
    work: Work = DEFAULT_WORK, clips: int = 100, stills: int = 500,
    annotated: Annotated[
        Path | None, typer.Option(help="Real sequences: NAME/frames/*.jpg, NAME/masks/*.png.")
    ] = None,
) -> None:  # fmt: skip
    """Measure the shipped weights on held-out clips and stills; write figures.json."""
    from pvtt_flow.training.evaluate import write_figures

    write_figures(clips=clips, stills=stills, annotated=annotated, work=work, report=say)


@app.command()
def samples() -> None:
    """Render the sample clips that ship."""
    from pvtt_flow.training.samples import write

    for path in write():
        typer.echo(f"{path.name} {path.stat().st_size} bytes")


if __name__ == "__main__":
    app()
