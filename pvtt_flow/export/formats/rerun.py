"""Rerun: a recording of each sequence, to look at it frame by frame.

    <sequence>.rrd, or <split>/<sequence>.rrd

`rerun_chunks` has what is in it.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from pvtt_flow.errors import PreflightError
from pvtt_flow.export.formats.clips import write_clip
from pvtt_flow.export.formats.format import Format, FormatOptions, Part
from pvtt_flow.export.selection import Contents
from pvtt_flow.export.sequence import Sequence

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class Rerun(Format):
    """Recordings of Rerun.

    Raises PreflightError if its library is not installed.
    """

    name = "rerun"
    summary = "Rerun: a recording of each sequence with clip, masks, boxes and scores"

    def __init__(self, options: FormatOptions, contents: Contents) -> None:
        super().__init__(options, contents)
        if find_spec("rerun_bindings") is None:
            raise PreflightError(
                "--format rerun needs the library rerun-sdk, which is not installed; run pip "
                "install 'pvtt_flow[rerun]' on every machine"
            )

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write the recording."""
        from rerun.chunk import LazyChunkStream

        from pvtt_flow.export.formats.rerun_chunks import chunks_of

        path = folder / (sequence.split or "") / f"{sequence.name}.rrd"
        path.parent.mkdir(exist_ok=True)
        clip = _clip(sequence, folder) if self.options.pictures else None
        stream = LazyChunkStream.from_iter(chunks_of(sequence, clip))
        try:
            stream.write_rrd(path, application_id="pvtt_flow", recording_id=sequence.name)
        except RuntimeError as error:
            # It has no class of its own for a full disk.
            if found := _OS_ERROR.search(str(error)):
                number = int(found[1])
                raise OSError(number, os.strerror(number), str(path)) from error
            raise
        return {}


def _clip(sequence: Sequence, folder: Path) -> bytes:
    """Return the clip as a file in memory; a recording holds it whole."""
    path = folder / f"{sequence.name}.mp4"
    write_clip(path, sequence)
    data = path.read_bytes()
    path.unlink()
    return data
