"""A file that knows how much of it has been read."""

import io


class CountingFile(io.BytesIO):
    """Bytes, counted."""

    num_read = 0

    def read(self, size: int | None = -1) -> bytes:
        """As any file."""
        data = super().read(size)
        self.num_read += len(data)
        return data
