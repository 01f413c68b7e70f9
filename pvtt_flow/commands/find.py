"""Find the video of a dataset that a command names."""

from pvtt_flow.dataset.dataset import Dataset
from pvtt_flow.dataset.queries import find_videos
from pvtt_flow.errors import ConfigError
from pvtt_flow.types import VideoRecord

_MAX_LISTED = 5


def find_video(dataset: Dataset, part: str) -> VideoRecord:
    """Return the one video with this id, or the one whose id or uri contains it.

    Raises ConfigError for no such video, and for several.
    """
    matches = find_videos(dataset, part, limit=_MAX_LISTED + 1)
    if len(matches) == 1:
        return matches[0]
    advice = f"list ids with pvtt-flow show {dataset.uri} --videos"
    if not matches:
        raise ConfigError(f"no video in {dataset.uri} matches {part!r}; {advice}")
    ids = [record.video_id for record in matches[:_MAX_LISTED]]
    ids += ["..."] if len(matches) > _MAX_LISTED else []
    raise ConfigError(
        f"VIDEO must match one video in {dataset.uri}, got {part!r}, which matches "
        f"{', '.join(ids)}; {advice}"
    )
