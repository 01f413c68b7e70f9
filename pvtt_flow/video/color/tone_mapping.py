"""Map high dynamic range to standard dynamic range, as a reference display would show it.

Steps, each with its standard:

1. code values to light: PQ by SMPTE ST 2084; HLG by ITU-R BT.2100, on a display of 1,000 cd/m²
2. highlights: the EETF of ITU-R BT.2390 (section 5.4.1) on the brightest of the three channels,
   from a mastering peak of 1,000 cd/m² to 203 cd/m², the diffuse white of ITU-R BT.2408
3. primaries: BT.2020 to BT.709 (ITU-R BT.2087); colors outside are clipped
4. light to code values: the inverse of ITU-R BT.1886, a power of 1 / 2.4
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transfer = Literal["pq", "hlg"]
Floats = NDArray[np.float64]

_PEAK_NITS, _WHITE_NITS = 1000.0, 203.0
_PQ_MAX_NITS = 10_000.0
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_GAMMA = 1.2
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
_BT1886_GAMMA = 2.4


def to_sdr(coded: Floats, transfer: Transfer) -> Floats:
    """Convert BT.2020 code values to BT.709: float64 (..., 3) R'G'B' in [0, 1], in and out."""
    nits = _pq_light(coded) if transfer == "pq" else _hlg_light(coded)
    mapped = _without_highlights(nits) / _WHITE_NITS
    bt709 = np.clip(mapped @ _BT2020_TO_BT709.T, 0, 1)
    return np.asarray(bt709 ** (1 / _BT1886_GAMMA), np.float64)


def cube(transfer: Transfer, num_steps: int) -> str:
    """Return `to_sdr` as the text of a .cube file, a table that FFmpeg's `lut3d` interpolates."""
    steps = np.linspace(0, 1, num_steps)
    # In a .cube file red changes fastest.
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    rows = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    lines = [f"LUT_3D_SIZE {num_steps}", *("{:.6f} {:.6f} {:.6f}".format(*row) for row in rows)]
    return "\n".join(lines) + "\n"


def _without_highlights(nits: Floats) -> Floats:
    brightest = nits.max(axis=-1, keepdims=True)
    # All channels are scaled alike, so hues stay.
    mapped = _pq_light(_eetf(_pq_code(brightest)))
    return np.asarray(nits * mapped / np.maximum(brightest, 1e-6), np.float64)


def _eetf(code: Floats) -> Floats:
    """Map PQ code values of the mastering display to the target: a knee, then a Hermite spline."""
    peak = _pq_code(np.array(_PEAK_NITS))
    source = np.minimum(code / peak, 1)
    top = _pq_code(np.array(_WHITE_NITS)) / peak
    knee = 1.5 * top - 0.5
    t = np.maximum(source - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * top
    )
    mapped: Floats = np.where(source < knee, source, spline) * peak
    return mapped


def _pq_light(code: Floats) -> Floats:
    """Convert PQ code values to light in cd/m²."""
    power = np.clip(code, 0, 1) ** (1 / _PQ_M2)
    light: Floats = np.maximum(power - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * power)
    return _PQ_MAX_NITS * light ** (1 / _PQ_M1)


def _pq_code(nits: Floats) -> Floats:
    light = np.clip(nits / _PQ_MAX_NITS, 0, 1) ** _PQ_M1
    code: Floats = ((_PQ_C1 + _PQ_C2 * light) / (1 + _PQ_C3 * light)) ** _PQ_M2
    return code


def _hlg_light(code: Floats) -> Floats:
    """Convert HLG code values to light of the scene, then of the display, in cd/m²."""
    code = np.clip(code, 0, 1)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    luma = np.maximum(scene @ _BT2020_LUMA, 1e-6)[..., None]
    light: Floats = _PEAK_NITS * luma ** (_HLG_GAMMA - 1) * scene
    return light
