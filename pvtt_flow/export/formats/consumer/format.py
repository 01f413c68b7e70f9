"""Bundles for one consumer: a folder for each masklet with the files that a profile names.

    <sequence>_o000/    files of the profile, and bundle.json

A masklet that cannot be fit for the profile is left out, with the number that is short.
"""

from pathlib import Path

from pvtt_flow.errors import ConfigError
from pvtt_flow.export.formats.consumer.bundle import write_bundles
from pvtt_flow.export.formats.consumer.take import Take, take_or_reason
from pvtt_flow.export.formats.format import Format, FormatOptions, Part
from pvtt_flow.export.selection import Contents
from pvtt_flow.export.sequence import Sequence


class Consumer(Format):
    """Bundles in the form of a profile."""

    name = "consumer"
    summary = "a folder for each masklet with the files that --profile names"
    takes_profile = True

    def __init__(self, options: FormatOptions, contents: Contents) -> None:
        super().__init__(options, contents)
        if options.profile is None:
            raise ConfigError("--profile must be given with --format consumer, got none")
        self._profile = options.profile

    def write(self, sequence: Sequence, folder: Path) -> Part:
        """Write a bundle for each masklet that is fit, and leave out the others."""
        takes: list[Take] = []
        for masklet in sequence.masklets:
            take = take_or_reason(self._profile, sequence, masklet)
            if isinstance(take, Take):
                takes.append(take)
            else:
                sequence.leave_out(masklet, take)
        write_bundles(takes, folder, pictures=self.options.pictures)
        return {}
