"""Files that were touched or copied: another etag, and the content that was processed."""

import logging
from collections.abc import Callable, Sequence

from pvtt_flow.dataset.ledger import Ledger, LedgerEntry
from pvtt_flow.types import Source

_LOG = logging.getLogger(__name__)
# Of etags that are hashes of the content, as `input.identity: content` makes them.
_HASH = "blake2b:"


def find_touched(
    sources: Sequence[Source], ledger: Ledger, hashes: Callable[[Sequence[str]], Sequence[str]]
) -> frozenset[str]:
    """Return the ids of videos whose etag changed, and neither their size nor their content.

    `hashes` returns the content hash of each uri; it reads these files.
    """
    entries = ledger.entries(source.video_id for source in sources)
    suspects = {
        source.uri: (source, entry)
        for source, entry in zip(sources, entries, strict=True)
        if entry is not None and _may_be_touched(source, entry)
    }
    to_read = [uri for uri, (source, _) in suspects.items() if not source.etag.startswith(_HASH)]
    if to_read:
        _LOG.info("reading %d videos that have another etag and the same size", len(to_read))
    found = dict(zip(to_read, hashes(to_read), strict=True))
    return frozenset(
        source.video_id
        for uri, (source, entry) in suspects.items()
        if found.get(uri, source.etag) == entry.content_hash
    )


def _may_be_touched(source: Source, entry: LedgerEntry) -> bool:
    return (
        entry.content_hash is not None
        and source.etag != entry.etag
        and source.size_bytes == entry.size_bytes
    )
