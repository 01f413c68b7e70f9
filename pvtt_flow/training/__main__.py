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
    traced_clips: Annotated[
        int, typer.Option(help="Clips of 8 frames by Blender, half a minute each; needs bpy.")
    ] = 0,
    processes: int = 2,
) -> None:  # fmt: skip
    """Render what is missing: training clips of 8 and of 16 frames, and training stills.

    Fetches meshes and skies first, 134 MB.
    """
    from pvtt_flow.training import corpus
    from pvtt_flow.training import stills as pictures

    assets = work / "assets"
    for num_frames, count in ((8, clips), (16, long_clips)):
        for path in corpus.render(
            work / "corpus", assets, "train", num_frames, count, processes=processes
        ):
            report(path.name)
    for path in corpus.render(
        work / "corpus", assets, "train", 8, traced_clips, processes=processes, renderer="cycles"
    ):
        report(path.name)
    for path in pictures.render(work / "stills", assets, "train", stills, processes=processes):
        report(path.name)


@app.command()
def pack(
    work: Work = DEFAULT_WORK,
    output: Annotated[Path, typer.Option(help="ZIP file.")] = Path("assets.zip"),
) -> None:
    """Pack meshes and skies for a machine without registries: unpack it in WORK/assets there."""
    from pvtt_flow.training.pack import pack as pack_assets

    pack_assets(work / "assets", output)
    report(f"{output} {output.stat().st_size} bytes")


@app.command()
def sheet(
    work: Work = DEFAULT_WORK, clips: int = 30,
    output: Annotated[Path, typer.Option(help="PNG or JPEG.")] = Path("clips.jpg"),
) -> None:  # fmt: skip
    """Draw a contact sheet of training clips with their masks: look at it before training."""
    from pvtt_flow.training.corpus import library_of
    from pvtt_flow.training.sheet import write_sheet

    write_sheet(output, library_of(work / "assets", "train"), clips)
    report(output)


@app.command()
def segmenter(  # noqa: PLR0913 - options of a command
    *,
    work: Work = DEFAULT_WORK,
    side_px: Annotated[int, typer.Option(help="128, and then 256.")] = 128,
    weights: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    share: Annotated[float, typer.Option(help="Share of the recipe's iterations.")] = 1.0,
    clips: Annotated[int, typer.Option(help="Factor on the clips of a batch.")] = 1,
    device: str = "cpu",
    processes: int = 2,
    workers: Annotated[int, typer.Option(help="Processes that draw batches, for a GPU.")] = 0,
    export_only: ExportOnly = False,
) -> None:
    """Train the compact SAM 2, or go on where it stopped; write its averaged weights."""
    from pvtt_flow.training.segmenter.recipe import RECIPES
    from pvtt_flow.training.segmenter.train import Setup, train_segmenter

    if side_px not in RECIPES:
        raise typer.BadParameter(f"must be one of {', '.join(map(str, RECIPES))}, got {side_px}")
    recipe = RECIPES[side_px].scaled(share, clips=clips)
    setup = Setup(weights, device, processes, workers)
    train_segmenter(work, recipe, setup, report=report, export_only=export_only)


@app.command()
def detector(
    *,
    work: Work = DEFAULT_WORK,
    iterations: int = 2000,
    weights: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    processes: int = 2,
    export_only: ExportOnly = False,
) -> None:
    """Train the compact YOLO, or go on where it stopped; write its stripped weights."""
    from pvtt_flow.training.detector.train import train_detector

    train_detector(
        work, iterations=iterations, weights=weights, processes=processes,
        export_only=export_only, report=report,
    )  # fmt: skip


@app.command()
def calibrate(work: Work = DEFAULT_WORK, stills: int = 600) -> None:
    """Make the shipped detector's score the share of its detections that are right."""
    from pvtt_flow.training.detector.calibrate import calibrate as calibrate_detector

    calibrate_detector(work, stills=stills, report=report)


@app.command()
def evaluate(
    work: Work = DEFAULT_WORK, clips: int = 250, stills: int = 600, processes: int = 2,
    annotated: Annotated[
        Path | None, typer.Option(help="Real sequences: NAME/frames/*.jpg, NAME/masks/*.png.")
    ] = None,
) -> None:  # fmt: skip
    """Measure the shipped weights on held-out clips and stills; write figures and credits."""
    from pvtt_flow.training.corpus import library_of
    from pvtt_flow.training.credits import FILE, write_credits
    from pvtt_flow.training.embedded import EMBEDDED
    from pvtt_flow.training.evaluate import write_figures

    use = "The models learned from pictures of these meshes, among others."
    write_credits(EMBEDDED / FILE, use, library_of(work / "assets", "train").meshes)
    write_figures(
        clips=clips, stills=stills, annotated=annotated, work=work, processes=processes,
        report=report,
    )  # fmt: skip


@app.command()
def quality(work: Work = DEFAULT_WORK, clips: int = 450, processes: int = 2) -> None:
    """Fit the models of verdicts to clips that the shipped segmenter tracked; write them."""
    from rich.progress import track

    from pvtt_flow.training.quality import fit
    from pvtt_flow.training.quality.clips import Recipe, track_clips
    from pvtt_flow.training.segmenter.model import CONFIG, WEIGHTS

    recipe = Recipe(work, "calibration", WEIGHTS, CONFIG)
    tracked = list(track(track_clips(recipe, clips, processes=processes), total=clips))
    fit.write(fit.fit_models(tracked, f"python -m pvtt_flow.training quality --clips {clips}"))
    report(f"{len(tracked)} clips -> {fit.OUTPUT}")


@app.command()
def samples(work: Work = DEFAULT_WORK, processes: int = 2) -> None:
    """Render the sample clips that ship, half an hour on two cores; needs bpy."""
    from pvtt_flow.training.samples import write_samples

    for path in write_samples(work / "assets", processes=processes):
        report(f"{path.name} {path.stat().st_size} bytes")


if __name__ == "__main__":
    app()
