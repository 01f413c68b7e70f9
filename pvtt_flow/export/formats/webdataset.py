"""WebDataset: shards of samples, a clip and a JSON file each.

    shard-00000000.tar with <sequence>.mp4 and <sequence>.json, or <split>-00000000.tar

The JSON file has the facts of sequences.jsonl, and `tracks`: RLEs, boxes and areas of each object
and frame.
"""

import json
import tarfile
from collections import defaultdict
from collections.abc import Sequence as List
from pathlib import Path

from pvtt_flow.export.formats import coco_rows
from pvtt_flow.export.formats.clips import write_clip
from pvtt_flow.export.formats.format import Format, Part
from pvtt_flow.export.sequence import Sequence


class WebDataset(Format):
    """Shards for streaming in order."""

    name = "webdataset"
    summary = "WebDataset shards: an mp4 and a JSON file for each sequence"
    sequences_per_unit = 32

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the files of a sample."""
        home = folder / (sequence.split or "shard")
        home.mkdir()
        if self.options.pictures:
            write_clip(home / f"{sequence.name}.mp4", sequence)
        tracks = [coco_rows.track_of(masklet) for masklet in sequence.masklets]
        sample = {**sequence.facts(), "tracks": tracks}
        (home / f"{sequence.name}.json").write_text(json.dumps(sample))
        return {}

    def pack(self, folders: List[Path], folder: Path, unit: str) -> List[Path]:
        """Put all samples of a split into one shard; files of a sample are neighbors."""
        homes: dict[str, list[Path]] = defaultdict(list)
        for sample in folders:
            (home,) = sample.iterdir()
            homes[home.name].append(home)
        for name, parts in homes.items():
            with tarfile.open(folder / f"{name}-{unit}.tar", "w") as shard:
                for path in (path for home in parts for path in sorted(home.iterdir())):
                    shard.add(path, path.name, filter=_anonymous)
        return [folder]


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove owner and time, so that the same samples give the same shard."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
