"""R12.1: was the notice heard? The microphone's sound is held against it while it plays, and none of it is kept.

What a microphone hears of a loudspeaker is the notice later, through the room, at a clock of its own. So the measure is
the share of the heard energy that the notice explains: through whatever short filter (direct sound and what a room
returns within 50 ms, which an ear takes as one), at whatever delay, at whatever drift of the two clocks. Of the sound
only sums over the whole notice remain: its correlation with the notice by delay, and its energy.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt

from agent.errors import HardwareError
from agent.evidence.entries import Heard
from agent.hardware.parts import AudioBlock
from agent.hardware.playback import read_wav
from agent.system.logs import logger

log = logger("audibility")

HEARD_CORRELATION: Final = 0.25
"""Square root of the explained share: notice and all other sound at -12 dB, where speech is no longer followed."""
HEARD_DBFS: Final = -60.0
NOT_MEASURED: Final = Heard("not_measured", None, None)

_RATE: Final = 8_000
"""Speech is below 4 kHz."""
_WINDOW: Final = 3_200
"""Samples correlated at a time: 0.4 s, all that is ever held of the sound."""
_LAGS: Final = 12_000
"""1.5 s: up to 1 s until the output begins, up to 0.5 s from there to the microphone."""
_EARLY: Final = 8_000
"""1 s: a driver that says that it took a sound later than it did, such as a sound server with a long buffer."""
_SLIP: Final = 80
"""150 ppm of a minute, in samples."""
_FFT: Final = 32_768
_DRIFTS_PPM: Final = tuple(range(-150, 151, 25))
_TAPS, _BEFORE = 400, 40
"""The room's answer: 50 ms, beginning 5 ms before its strongest path."""
_LONGEST: Final = 60 * _RATE
_PROBES: Final = 12
_LEAST_SHARE: Final = 0.5
_RESYNC_NS: Final = 500_000_000
"""What is less is more often a stamp that is wrong than sound that is lost."""
_EMPHASIS: Final = 0.9
_FLOOR_DBFS: Final = -120.0

Signal = npt.NDArray[np.float64]


class Correlator:
    """The arithmetic: 8 kHz signals in, two numbers out; bounded memory (about 3 MB). No clock and no thread."""

    def __init__(self, said: Signal) -> None:
        """``said``: the notice at 8 kHz, full scale 1."""
        self._said = _emphasised(said[:_LONGEST], 0.0)
        self._sums = np.zeros((len(_DRIFTS_PPM), _EARLY + _LAGS))
        self._windows: list[tuple[int, float, float]] = []
        """Place, energy, and energy after emphasis of each window."""
        self._last = 0.0
        # Made now, not when the notice has ended: the first frame waits for the result.
        self._inverse = np.linalg.inv(_toeplitz(_autocorrelation(self._said, _TAPS)))

    def take(self, place: int, heard: Signal) -> None:
        """Adds a window of at most 0.4 s that begins ``place`` samples after the notice was asked for."""
        if not 0 <= place < len(self._said) + _LAGS:
            return
        signal = _emphasised(heard, self._last)
        self._last = float(heard[-1])
        self._windows.append((place, float(heard @ heard), float(signal @ signal)))
        by_lag = self._correlated(place, signal)
        for row, ppm in enumerate(_DRIFTS_PPM):
            shift = _SLIP + round(ppm * 1e-6 * place)
            self._sums[row] += by_lag[shift : shift + _EARLY + _LAGS]

    def _correlated(self, place: int, signal: Signal) -> Signal:
        """Sum of ``signal[i] * said[place + i - lag]``, for lags from -EARLY - SLIP to LAGS + SLIP."""
        reach = _LAGS + _SLIP
        piece = self._piece(place - reach, place + _WINDOW + _EARLY + _SLIP)
        product = np.conj(np.fft.rfft(signal, _FFT)) * np.fft.rfft(piece, _FFT)
        found: Signal = np.fft.irfft(product, _FFT)[: reach + _EARLY + _SLIP + 1][::-1]
        return found

    def _piece(self, first: int, end: int) -> Signal:
        piece = np.zeros(end - first)
        low, high = max(first, 0), min(end, len(self._said))
        if low < high:
            piece[low - first : high - first] = self._said[low:high]
        return piece

    def result(self) -> Heard:
        """What was heard of the notice; not measured when less than half of it fell into the windows."""
        row, column = np.unravel_index(int(np.argmax(np.abs(self._sums))), self._sums.shape)
        lag = int(column) - _EARLY
        during = [one for one in self._windows if -_WINDOW < one[0] - lag < len(self._said)]
        covered = self._covered(during, lag)
        if covered < _LEAST_SHARE:
            return NOT_MEASURED
        heard = sum(one[2] for one in during)
        correlation = self._explained(int(row), int(column), heard, covered) ** 0.5 if heard else 0.0
        level = _dbfs(sum(one[1] for one in during) / (len(during) * _WINDOW))
        passed = correlation >= HEARD_CORRELATION and level >= HEARD_DBFS
        return Heard("heard" if passed else "not_heard", round(correlation * 1000), round(level * 100))

    def _covered(self, during: list[tuple[int, float, float]], lag: int) -> float:
        """Share of the notice's energy that these windows were open for."""
        energy = np.concatenate([[0.0], np.cumsum(self._said**2)])
        ends = [np.clip([place - lag, place - lag + _WINDOW], 0, len(self._said)) for place, _, _ in during]
        taken = sum(float(energy[end] - energy[first]) for first, end in ends)
        return taken / float(energy[-1]) if energy[-1] else 0.0

    def _explained(self, row: int, column: int, heard: float, covered: float) -> float:
        """Share of the heard energy, above what the same filter explains by chance at delays that mean nothing."""
        first = int(np.clip(column - _BEFORE, 0, _EARLY + _LAGS - _TAPS))
        probes = [int(at) for at in np.linspace(0, _EARLY + _LAGS - _TAPS, _PROBES) if abs(at - first) > 2 * _TAPS]
        sides = np.array([self._sums[row, at : at + _TAPS] for at in (first, *probes)]).T
        shares = np.sum(sides * (self._inverse @ sides), axis=0) / (heard * covered)
        chance = float(np.median(shares[1:]))
        return min(1.0, max(0.0, (float(shares[0]) - chance) / max(1.0 - chance, 1e-3)))


def _emphasised(signal: Signal, before: float) -> Signal:
    """Less rumble, more of what makes speech understood; the same for both sides."""
    return np.diff(signal, prepend=before) * _EMPHASIS + signal * (1 - _EMPHASIS)


def _autocorrelation(signal: Signal, count: int) -> Signal:
    size = 1 << (len(signal) + count).bit_length()
    found: Signal = np.fft.irfft(np.abs(np.fft.rfft(signal, size)) ** 2, size)[:count]
    return found


def _toeplitz(column: Signal) -> Signal:
    at = np.arange(len(column))
    matrix: Signal = column[np.abs(at[:, None] - at[None, :])] + np.eye(len(column)) * (column[0] * 1e-3 + 1e-12)
    return matrix


def _dbfs(mean_square: float) -> float:
    return max(_FLOOR_DBFS, 10 * float(np.log10(max(mean_square, 1e-30))))


class _Narrowed:
    """Blocks of any rate and channels, at 8 kHz; a stream, so nothing is lost between blocks."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)

    def take(self, samples: npt.NDArray[np.int16]) -> Signal:
        mono = (samples.mean(axis=1) / 32768).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(mono.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    def rest(self) -> Signal:
        return _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> Signal:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def read_notice(path: Path) -> Signal:
    """The notice at 8 kHz, full scale 1. Raises HardwareError."""
    sound = read_wav(path)
    narrowed = _Narrowed(sound.sample_rate)
    return np.concatenate([narrowed.take(sound.samples), narrowed.rest()])


@dataclass(slots=True)
class _Window:
    """The samples of the window that is being filled: all of the microphone's sound that is held."""

    place: int
    samples: Signal
    filled: int = 0


class Listening:
    """Blocks as a microphone delivers them into a Correlator: places them by their capture times. One thread."""

    def __init__(self, said: Signal, sample_rate: int, origin_ns: int) -> None:
        self._correlator, self._narrowed = Correlator(said), _Narrowed(sample_rate)
        self._rate, self._origin_ns = sample_rate, origin_ns
        self._expected_ns: int | None = None
        self._window = _Window(0, np.zeros(_WINDOW))

    def take(self, block: AudioBlock) -> None:
        """Adds a block. One from before the origin is dropped; a hole in the stream moves what follows."""
        if block.captured_ns < self._origin_ns:
            return
        if self._expected_ns is None or block.captured_ns - self._expected_ns > _RESYNC_NS:
            self._restart((block.captured_ns - self._origin_ns) * _RATE // 1_000_000_000)
            self._expected_ns = block.captured_ns
        # Counted on from the first block: a driver's stamps jitter, its samples do not.
        self._expected_ns += len(block.samples) * 1_000_000_000 // self._rate
        self._fill(self._narrowed.take(block.samples))

    def _restart(self, place: int) -> None:
        self._end_stretch()
        self._narrowed = _Narrowed(self._rate)
        self._window = _Window(place, self._window.samples)

    def _fill(self, signal: Signal) -> None:
        while len(signal):
            window = self._window
            taken = signal[: _WINDOW - window.filled]
            window.samples[window.filled : window.filled + len(taken)] = taken
            window.filled += len(taken)
            signal = signal[len(taken) :]
            if window.filled == _WINDOW:
                self._flush()

    def _flush(self) -> None:
        window = self._window
        window.samples[window.filled :] = 0.0
        self._correlator.take(window.place, window.samples)
        self._window = _Window(window.place + _WINDOW, window.samples)

    def result(self) -> Heard:
        """The verdict over all blocks so far."""
        self._end_stretch()
        self._window.samples[:] = 0.0
        return self._correlator.result()

    def _end_stretch(self) -> None:
        self._fill(self._narrowed.rest())
        if self._window.filled:
            self._flush()


class AudibilityMeter:
    """Measures one notice while it plays, on a thread of its own. Make it when the notice is asked for.

    ``take`` only enqueues (any thread); at most 2 s of blocks wait, and each is gone once it is added to the sums.
    """

    _WAITING: Final = 100
    _IDLE_SECONDS: Final = 90.0
    """A meter that nobody asks for its result ends by itself."""

    def __init__(self, notice: Path, sample_rate: int, origin_ns: int | None = None) -> None:
        self._notice, self._rate = notice, sample_rate
        self._origin_ns = time.monotonic_ns() if origin_ns is None else origin_ns
        self._blocks: queue.Queue[AudioBlock | None] = queue.Queue(self._WAITING)
        self._heard = NOT_MEASURED
        self._thread = threading.Thread(target=self._run, name="audibility", daemon=True)
        self._thread.start()

    def take(self, block: AudioBlock) -> None:
        """Adds a block; one that finds no room is a hole. Never waits."""
        with suppress(queue.Full):
            self._blocks.put_nowait(block)

    def result(self, limit_seconds: float = 2.0) -> Heard:
        """What was heard, and the end of the measurement; not measured when that takes longer than the limit."""
        with suppress(queue.Full):
            self._blocks.put(None, timeout=limit_seconds)
        self._thread.join(limit_seconds)
        return NOT_MEASURED if self._thread.is_alive() else self._heard

    def _run(self) -> None:
        try:
            listening = Listening(read_notice(self._notice), self._rate, self._origin_ns)
            while (block := self._blocks.get(timeout=self._IDLE_SECONDS)) is not None:
                listening.take(block)
            self._heard = listening.result()
        except queue.Empty:
            return
        except (HardwareError, av.error.FFmpegError, ValueError, np.linalg.LinAlgError) as error:
            log.error("the notice's sound cannot be measured", why=str(error))
