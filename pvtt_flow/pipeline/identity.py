"""Ids of listed videos, given the dataset: a known video keeps its id, and no two share one."""

from collections.abc import Sequence
from dataclasses import replace

from pvtt_flow.core import ids
from pvtt_flow.dataset.ledger import Ledger
from pvtt_flow.storage.video_names import video_uri
from pvtt_flow.types import Source


def with_ids(sources: Sequence[Source], ledger: Ledger) -> list[Source]:
    """Return the sources with their final ids; an id that the manifest gives stays.

    A video whose uri is in the dataset keeps the id that it has there. Otherwise the id is made of
    its name within the input, so that it is equal wherever the input is; if another video has that
    id, of its uri.
    """
    known = ledger.ids_of_uris([video_uri(source.uri) for source in sources])
    final: dict[int, str] = {}
    for place, (source, video_id) in enumerate(zip(sources, known, strict=True)):
        if not source.name:
            final[place] = source.video_id
        elif video_id is not None:
            final[place] = video_id
    taken = set(final.values())
    waiting, attempt = [place for place in range(len(sources)) if place not in final], 0
    while waiting:
        wanted = [_candidate(sources[place], attempt) for place in waiting]
        refused = []
        for place, video_id, is_held in zip(waiting, wanted, ledger.has(wanted), strict=True):
            if is_held or video_id in taken:
                refused.append(place)
            else:
                final[place] = video_id
                taken.add(video_id)
        waiting, attempt = refused, attempt + 1
    return [replace(source, video_id=final[place]) for place, source in enumerate(sources)]


def _candidate(source: Source, attempt: int) -> str:
    if attempt == 0:
        return source.video_id
    uri = video_uri(source.uri)
    return ids.video_id(uri if attempt == 1 else f"{uri}#{attempt}")
