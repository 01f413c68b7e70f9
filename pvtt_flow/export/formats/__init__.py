"""Formats by name."""

from difflib import get_close_matches

from pvtt_flow.errors import ConfigError
from pvtt_flow.export.formats.coco import Coco
from pvtt_flow.export.formats.consumer.format import Consumer
from pvtt_flow.export.formats.davis import Davis, YouTubeVos
from pvtt_flow.export.formats.fiftyone import FiftyOne
from pvtt_flow.export.formats.format import Format
from pvtt_flow.export.formats.mask_video import Ffv1, LosslessH264
from pvtt_flow.export.formats.plain_parquet import PlainParquet
from pvtt_flow.export.formats.pvtt import Pvtt
from pvtt_flow.export.formats.rerun import Rerun
from pvtt_flow.export.formats.sav import Sav, SavJson
from pvtt_flow.export.formats.video_folder import VideoFolder
from pvtt_flow.export.formats.webdataset import WebDataset
from pvtt_flow.export.formats.yolo import YoloDetect, YoloSegment
from pvtt_flow.export.formats.youtube_vis import SacoVeval, YouTubeVis

FORMATS: dict[str, type[Format]] = {
    kind.name: kind
    for kind in (
        *(PlainParquet, Davis, YouTubeVos, Sav, SavJson, Ffv1, LosslessH264, Coco, YouTubeVis),
        *(SacoVeval, YoloSegment, YoloDetect, WebDataset, VideoFolder, FiftyOne),
        *(Rerun, Pvtt, Consumer),
    )
}


def format_named(name: str) -> type[Format]:
    """Return the format of this name; raises ConfigError if there is none."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(FORMATS)}"
        raise ConfigError(f"--format must be a known format, got {name!r}; {advice}")
    return FORMATS[name]
