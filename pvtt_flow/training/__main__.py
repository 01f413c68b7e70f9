"""Commands that render, train, measure and write what ships."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help=__doc__)
Work = Annotated[Path, typer.Option(help="Folder of clips and checkpoints.")]
ExportOnly = Annotated[bool, typer.Option(help="Write the weights of the last checkpoint.")]
# A log shows each line at once; processes of a trainer receive this function.
report = partial(print, flush=True)
DEFAULT_WORK = Path("training_work")


@app.command()
def render(
    work: Work = DEFAULT_WORK, clips: int = 4000, long_clips: int = 600, stills: int = 8000,
    processes: int = 2,
) -> None:  # fmt: skip
    """Render what is missing: training clips of 8 and of 16 frames, and training stills."""
    from pvtt_flow.training import corpus
    from pvtt_flow.training import stills as pictures

    for num_frames, count in ((8, clips), (16, long_clips)):
        for path in corpus.render(work / "corpus", "train", num_frames, count, processes=processes):
            report(path.name)
    for path in pictures.render(work / "stills", "train", stills, processes=processes):
        report(path.name)


@app.command()
def segmenter(
    *, work: Work = DEFAULT_WORK, processes: int = 2, export_only: ExportOnly = False
) -> None:
    """Train the compact SAM 2, or go on where it stopped; write its averaged weights."""
    from pvtt_flow.training.segmenter.train import train_segmenter

    train_segmenter(work, processes=processes, export_only=export_only, report=report)


@app.command()
def detector(
    *,
    work: Work = DEFAULT_WORK,
    iterations: int = 2000,
    processes: int = 2,
    export_only: ExportOnly = False,
) -> None:
    """Train the compact YOLO, or go on where it stopped; write its stripped weights."""
    from pvtt_flow.training.detector.train import train_detector

    train_detector(
        work, iterations=iterations, processes=processes, export_only=export_only, report=report
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

    write_figures(clips=clips, stills=stills, annotated=annotated, work=work, report=report)


@app.command()
def samples() -> None:
    """Render the sample clips that ship."""
    from pvtt_flow.training.samples import write_samples

    for path in write_samples():
        report(f"{path.name} {path.stat().st_size} bytes")


if __name__ == "__main__":
    app()
