"""What a run leaves beside its tables: its parameters and counts, and a picture."""

import json
from dataclasses import asdict, dataclass

from pvtt_flow.commands.sheet import sheet_png
from pvtt_flow.config.schema import RunConfig
from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.queries import videos_of_run
from pvtt_flow.pipeline.summary import Summary
from pvtt_flow.storage.files import write_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where the files are."""

    run_uri: str
    contact_sheet_uri: str | None


def write_report(config: RunConfig, summary: Summary) -> Report:
    """Write `runs/<run_id>.json` and, unless turned off, `runs/<run_id>.png`."""
    base = f"{config.output.uri.rstrip('/')}/runs/{summary.run_id}"
    report = {
        "config": config.model_dump(mode="json"),
        "summary": asdict(summary),
        "frames_per_s": summary.frames_per_s,
    }
    write_bytes(f"{base}.json", json.dumps(report, indent=2).encode())
    return Report(
        run_uri=f"{base}.json", contact_sheet_uri=_picture(config, summary, f"{base}.png")
    )


def _picture(config: RunConfig, summary: Summary, uri: str) -> str | None:
    if not config.run.contact_sheet_videos:
        return None
    dataset = Dataset(config.output.uri)
    picture = sheet_png(
        f"{summary.run_id}: {summary.num_videos} videos, {summary.num_masklets} masklets",
        dataset,
        videos_of_run(dataset, summary.run_id, limit=config.run.contact_sheet_videos),
    )
    write_bytes(uri, picture)
    return uri
