"""Watch on Ray's control service (GCS), without which Ray ends the driver and says nothing."""

import os
import socket
import time

from pvtt_flow.errors import ClusterError

# Ray's own setting: it ends a process that cannot reach the service for so long.
_RAY_LIMIT, _RAY_DEFAULT_S = "RAY_gcs_rpc_server_reconnect_timeout_s", 60.0
# A run without the service needs up to half a minute for its end: Ray's calls hang.
_SHARE = 1 / 6
_CONNECT_TIMEOUT_S = 2.0


class GcsWatch:
    """Watch on the service at an address, `host:port`."""

    def __init__(self, address: str, patience_s: float) -> None:
        self._address = address
        self._patience_s = patience_s
        self._answered_s = time.monotonic()

    def answers(self) -> bool:
        """Return whether the service answers now.

        Raises ClusterError if it has not answered for longer than the patience.
        """
        if self.is_reachable():
            self._answered_s = time.monotonic()
            return True
        silent_s = time.monotonic() - self._answered_s
        if silent_s > self._patience_s:
            raise ClusterError(
                f"Ray's control service (gcs_server at {self._address}) must run, but it has not "
                f"answered for {silent_s:.0f} s: it died, of memory perhaps, or its machine was "
                "lost. Committed results are kept; the same command processes the rest."
            )
        return False

    def is_reachable(self) -> bool:
        """Return whether the service takes a connection now."""
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
        except OSError:
            return False
        return True


def watch_gcs() -> GcsWatch:
    """Watch the Ray that this process is connected to, with a sixth of Ray's own patience."""
    import ray

    limit_s = float(os.environ.get(_RAY_LIMIT, _RAY_DEFAULT_S))
    return GcsWatch(str(ray.get_runtime_context().gcs_address), limit_s * _SHARE)
