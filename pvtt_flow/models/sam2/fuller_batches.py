"""Short wait for a fuller batch, where frames are about to be decoded.

A step of twice as many frames saves the fixed part of another step: launches, and code that is not
compiled, for which milliseconds are estimated. A wait of as many milliseconds pays only if it is
likely to end with that step, so frames are waited for that are expected by the time that the last
one of their shot took.
"""

from collections.abc import Sequence


def wait_s(
    now_s: float, began_s: float, num_ready: int, expected_s: Sequence[float], max_wait_s: float
) -> float:
    """Return for how long a step of `num_ready` shots waits for those that are not ready.

    `expected_s` are the times at which their next frames are expected. 0 unless at least as many
    shots as are ready are expected within `max_wait_s` of `began_s`, when the wait began; a frame
    that is late by more than `max_wait_s` is not waited for, since it may take any time.
    """
    coming = [
        time_s for time_s in expected_s if now_s - max_wait_s < time_s <= began_s + max_wait_s
    ]
    if not num_ready or len(coming) < num_ready:
        return 0.0
    # Late ones may come at any moment until the wait is over.
    last_s = max(coming) if max(coming) > now_s else began_s + max_wait_s
    return max(0.0, last_s - now_s)
