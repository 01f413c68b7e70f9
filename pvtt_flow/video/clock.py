"""Presentation times of frames: those of FFmpeg's command line, on a clock that never goes back.

A container may give a frame no time or a wrong one, and its clock may start again in the middle.
"""

from contextlib import suppress
from fractions import Fraction
from itertools import islice, pairwise
from statistics import median

from av.format import Flags
from av.video.frame import VideoFrame

from pvtt_flow.core.timeline import NS_PER_S, to_ns
from pvtt_flow.video.container import FFMPEG_ERRORS, OpenVideo, demux

# FFmpeg's default for a stream without a frame rate.
_FALLBACK_FPS = Fraction(25)
# Headers may declare a clock as their frame rate: 90 kHz, or 100 kHz in APNG.
_MAX_FPS = 1000
# Variable rates differ by less than this from what their headers declare.
_MAX_RATE_ERROR = Fraction(3, 2)
# Matroska rounds times to milliseconds.
_ROUNDING = Fraction(1, 200)
# FFmpeg has read about as much to open the file, so this costs no time.
_MAX_MEASURED, _MAX_MEASURED_BYTES, _MIN_STEPS = 32, 4 * 1024 * 1024, 4
# FFmpeg's `-dts_delta_threshold`: where clocks may jump (MPEG-TS), a longer gap is such a jump.
_MAX_GAP_NS = 10 * NS_PER_S
# FFmpeg lets a clock go back by this much without taking it for a restart.
_MAX_STEP_BACK_NS = NS_PER_S // 10


def nominal_rate(opened: OpenVideo) -> Fraction:
    """Return the frames per second that the headers declare; 25 if they declare none.

    That is the container's average, or the codec's rate in a format without times.
    """
    stream = opened.stream
    if _has_times(opened) and stream.average_rate:
        return stream.average_rate
    # The guess may count fields.
    rates = (stream.codec_context.framerate, stream.average_rate, stream.guessed_rate)
    return next((rate for rate in rates if rate and rate <= _MAX_FPS), _FALLBACK_FPS)


def own_rate(opened: OpenVideo) -> Fraction:
    """Return the rate of the video's frames: the nominal one, unless they are at another rate.

    Headers may declare a clock (90000) or a rate at which most frames are missing. The times of the
    next packets tell, so decoding cannot go on after this.
    """
    nominal = nominal_rate(opened)
    measured = _measured_rate(opened)
    if measured is None or _MAX_RATE_ERROR > measured / nominal > 1 / _MAX_RATE_ERROR:
        return nominal
    declared = (opened.stream.guessed_rate, opened.stream.base_rate, Fraction(round(measured)))
    near = (rate for rate in declared if rate and abs(measured / rate - 1) < _ROUNDING)
    return next(near, measured.limit_denominator(1001))


def stored_ns(frame: VideoFrame) -> int | None:
    """Return the frame's own timestamp, by which a seek finds it; None if it has none."""
    if frame.pts is None or frame.time_base is None:
        return None
    return to_ns(frame.pts, frame.time_base)


class FrameClock:
    """Clock of one decode from the first frame; it is read once for each frame, in their order."""

    def __init__(self, opened: OpenVideo) -> None:
        self._stream = opened.stream
        self._nominal_rate = nominal_rate(opened)
        self._has_times = _has_times(opened)
        self._may_jump = Flags.ts_discont in Flags(opened.container.format.flags)
        self._guess = _TimestampGuess()
        # Of the last frame: its timestamp and duration in ticks, and its time.
        self._ticks: int | None = None
        self._duration = 1
        self._last_ns = 0
        # Of the current recording: its first time, and what is added to its timestamps.
        self._first_ns = 0
        self._offset_ns = 0

    def time_ns(self, frame: VideoFrame) -> int:
        """Return the frame's presentation time; it is at least that of the frame before it.

        - A frame without a timestamp follows when the frame before it ends; the first is at 0.
        - A clock that restarts goes on when the frame before it ends, and so does one that jumps
          by more than 10 s in a format that allows jumps.
        - A time that goes back by at most 0.1 s is held.
        """
        time_base = frame.time_base or self._stream.time_base or 1 / self._nominal_rate
        ticks = self._guess(frame.pts, frame.dts) if self._has_times else None
        if ticks is None:
            ticks = 0 if self._ticks is None else self._ticks + self._duration
        time_ns = to_ns(ticks, time_base) + self._offset_ns
        last_ticks = self._ticks
        if last_ticks is None:
            self._first_ns = self._last_ns = time_ns
        elif self._is_restart(time_ns, time_base):
            self._first_ns = self._last_ns + self._last_duration_ns(time_base)
            self._offset_ns += self._first_ns - time_ns
            time_ns = self._first_ns
            self._guess, last_ticks = _TimestampGuess(), None
        self._duration = self._estimate_duration(frame, ticks, last_ticks, time_base)
        self._ticks = ticks
        self._last_ns = max(time_ns, self._last_ns)
        return self._last_ns

    def skip(self, num_ticks: int) -> None:
        """Let time pass after the last frame for a packet without one, as FFmpeg does."""
        self._duration += num_ticks

    def _is_restart(self, time_ns: int, time_base: Fraction) -> bool:
        """Return whether the clock jumps between the last frame and this one."""
        if time_ns < self._last_ns:
            return time_ns <= self._first_ns or time_ns < self._last_ns - _MAX_STEP_BACK_NS
        gap_ns = time_ns - self._last_ns - self._last_duration_ns(time_base)
        return self._may_jump and gap_ns > _MAX_GAP_NS

    def _last_duration_ns(self, time_base: Fraction) -> int:
        """Return the duration of the last frame: by its rate, if that is its ticks, unrounded."""
        rate = self._stream.guessed_rate
        if rate and abs(1 / (rate * time_base) - self._duration) < 1:
            return round(NS_PER_S / rate)
        return to_ns(self._duration, time_base)

    def _estimate_duration(
        self, frame: VideoFrame, ticks: int, last_ticks: int | None, time_base: Fraction
    ) -> int:
        """Return the ticks until the next frame (`video_duration_estimate` in ffmpeg_dec.c)."""
        since_last = 0 if last_ticks is None else ticks - last_ticks
        # FFmpeg sets a duration of one tick for want of a better one.
        is_unreliable = not self._has_times or (frame.duration == 1 and since_last > 2)
        if frame.duration and not is_unreliable:
            return frame.duration
        nominal = round(1 / (self._nominal_rate * time_base))
        candidates = (since_last, frame.duration, nominal) if self._has_times else (nominal,)
        return next((ticks for ticks in candidates if ticks and ticks > 0), 1)


class _TimestampGuess:
    """FFmpeg's guess of timestamps (`guess_correct_pts` in libavcodec/decode.c).

    Some containers (AVI, program streams) have no presentation times, and some have wrong ones. If
    these went back more often than the decoding times, the decoding times are used.
    """

    def __init__(self) -> None:
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._num_wrong_pts = 0
        self._num_wrong_dts = 0

    def __call__(self, pts: int | None, dts: int | None) -> int | None:
        """Return the next frame's timestamp, given its pts and the dts at which it was decoded."""
        if dts is not None:
            self._num_wrong_dts += self._last_dts is not None and dts <= self._last_dts
        if pts is not None:
            self._num_wrong_pts += self._last_pts is not None and pts <= self._last_pts
        if pts is None or dts is None:
            pts_or_dts = dts if pts is None else pts
            if pts_or_dts is not None:
                self._last_pts = self._last_dts = pts_or_dts
            return pts_or_dts
        self._last_pts, self._last_dts = pts, dts
        return dts if self._num_wrong_pts > self._num_wrong_dts else pts


def _measured_rate(opened: OpenVideo) -> Fraction | None:
    """Return the rate of the next packets; None where it is not needed or too few have a time."""
    # The rate of MP4 is computed from the times of all its frames.
    if "mp4" in opened.container.format.name or not _has_times(opened):
        return None
    times: set[int] = set()
    num_bytes = 0
    with suppress(*FFMPEG_ERRORS):
        for packet in islice(demux(opened), _MAX_MEASURED):
            num_bytes += packet.size
            time = packet.pts if packet.dts is None else packet.dts
            if packet.size and time is not None:
                times.add(time)
            if num_bytes > _MAX_MEASURED_BYTES:
                break
    opened.file.check_reads()
    steps = [after - before for before, after in pairwise(sorted(times))]
    if len(steps) < _MIN_STEPS or opened.stream.time_base is None:
        return None
    # Without pauses, and without the jump of a clock.
    usual = median(steps)
    regular = [step for step in steps if usual / 2 <= step <= usual * 2]
    return Fraction(len(regular)) / (sum(regular) * opened.stream.time_base)


def _has_times(opened: OpenVideo) -> bool:
    """Return whether the format stores times: an elementary stream has none but made up ones."""
    return Flags.no_timestamps not in Flags(opened.container.format.flags)
