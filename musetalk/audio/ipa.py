"""What lips, jaw and tongue do for each sound of the International Phonetic Alphabet, as far as it is seen."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache, partial


@dataclass(frozen=True, slots=True)
class Articulation:
    """How a sound looks.

    Attributes:
        openness: How far the jaw opens, 0 to 1: 1 is as far as in lively conversation.
        spread: -1 (rounded) to 1 (wide).
        firm: How far it gets to its openness in its middle, 0 to 1, whatever is said beside it. Less: the more, the
            louder its neighbours' vowels shine through.
        jaw: How much its openness counts beside those of its neighbours where nothing is firm.
        lips: How much its spread counts beside theirs; 0: the lips are its neighbours'.
        before, after: How long the lips are on their way to its shape, and keep some of it, in seconds.
        closes: Whether the lips meet.
        presses: How much they are pressed together then.
        bites: How much the lower lip goes under the upper teeth.
        teeth: How much the rows of teeth meet.
        tongue: How much the tongue shows between the teeth.
        tip: How much its tip is seen going up behind them.
    """

    openness: float
    spread: float = 0.0
    firm: float = 0.0
    jaw: float = 1.0
    lips: float = 0.0
    before: float = 0.1
    after: float = 0.08
    closes: bool = False
    presses: float = 0.0
    bites: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    tip: float = 0.0


REST = Articulation(0.0, firm=1.0, lips=0.6, closes=True)
NEUTRAL = Articulation(0.3, jaw=0.5, lips=0.1)

# Vowels from the closest to the most open: front, central, back; of each pair the second is rounded.
_HEIGHTS = (0.2, 0.28, 0.42, 0.5, 0.62, 0.76, 0.9)
_CHART = (
    ("i y", "ɨ ʉ", "ɯ u"),
    ("ɪ ʏ", "- -", "- ʊ"),
    ("e ø", "ɘ ɵ", "ɤ o"),
    ("- -", "ə -", "- -"),
    ("ɛ œ", "ɜ ɞ", "ʌ ɔ"),
    ("æ -", "ɐ -", "- -"),
    ("a ɶ", "- -", "ɑ ɒ"),
)
_WIDE = (0.85, 0.7, 0.6, 0.45, 0.4, 0.35, 0.15)  # front vowels, by their heights
_ROUND = (-1.0, -0.8, -0.9, -0.6, -0.65, -0.5, -0.4)

_rounded = partial(Articulation, lips=1.6, before=0.2, after=0.13)  # on their way early, and back late


def _vowels() -> dict[str, Articulation]:
    vowels = dict[str, Articulation]()
    for row, openness, wide, rounded in zip(_CHART, _HEIGHTS, _WIDE, _ROUND, strict=True):
        for place, share in zip(row, (1.0, 0.15, -0.05), strict=True):
            plain, round_ = place.split()
            vowels[plain] = Articulation(openness, wide * share, lips=0.7, before=0.12, after=0.1)
            vowels[round_] = _rounded(0.8 * openness + 0.04, rounded)
    del vowels["-"]
    colored = Articulation(0.36, -0.4, lips=0.8, before=0.14)
    return vowels | {"ɚ": colored, "ɝ": colored}


# By how they look, not by how they sound: what is done further back than the teeth is hardly seen.
_CONSONANTS = {
    "p b ɓ ʙ ʘ": Articulation(0.0, firm=1, jaw=0.4, closes=True, presses=1.0),
    "m": Articulation(0.0, firm=1, jaw=0.4, closes=True, presses=0.8),
    "ɸ β": Articulation(0.07, -0.2, firm=0.9, jaw=0.4, lips=0.4),
    "f v ɱ ʋ ⱱ": Articulation(0.16, 0.1, firm=1, jaw=0.4, lips=0.4, bites=1.0),
    "θ ð": Articulation(0.3, firm=0.85, jaw=0.4, lips=0.15, tongue=1.0),
    "t d n ɾ ɗ ǀ": Articulation(0.24, 0.05, firm=0.45, jaw=0.4, tip=0.45, teeth=0.25),
    "l ɫ ɺ ǁ": Articulation(0.42, firm=0.7, jaw=0.4, tip=1.0),
    "ɬ ɮ": Articulation(0.2, 0.2, firm=0.75, jaw=0.4, lips=0.2, teeth=0.5, tip=0.5),
    "s z": Articulation(0.17, 0.45, firm=0.92, jaw=0.4, lips=0.4, teeth=1.0),
    "ʃ ʒ ɕ ʑ ʂ ʐ": Articulation(0.22, -0.65, firm=0.9, jaw=0.4, lips=1.0, before=0.13, after=0.1, teeth=0.9),
    "ɹ r ɻ ɽ": Articulation(0.28, -0.5, firm=0.5, jaw=0.4, lips=0.8, before=0.13),
    "ʈ ɖ ɳ ɭ ǃ": Articulation(0.3, firm=0.35, jaw=0.4, tip=0.4),
    "j ʝ ç ɲ ʎ c ɟ ǂ ʄ": Articulation(0.22, 0.6, firm=0.5, jaw=0.5, lips=0.6),
    "w ʍ ɥ": _rounded(0.16, -1.0, firm=0.85, jaw=0.5),
    "k ɡ ŋ x ɣ ɰ ɠ ɧ": Articulation(0.3, firm=0.2, jaw=0.4),
    "q ɢ ɴ χ ʁ ʀ ʛ": Articulation(0.36, firm=0.1, jaw=0.4),
    "h ɦ ʔ ħ ʕ ʜ ʢ ʡ": Articulation(0.4, jaw=0.1),
}

_BY_SYMBOL = _vowels() | {symbol: seen for symbols, seen in _CONSONANTS.items() for symbol in symbols.split()}
_SPELLINGS = str.maketrans({"g": "ɡ", "ε": "ɛ", "ɩ": "ɪ", "ɷ": "ʊ", "ᵻ": "ɪ", "ᵊ": "ə", "ʧ": "tʃ", "ʤ": "dʒ"})
_SPELLINGS |= str.maketrans({"ʦ": "ts", "ʣ": "dz", "ʨ": "tɕ", "ʥ": "dʑ"})
_ROUNDING, _UNSEEN = "ʷ", "ˈˌːˑʰʱʲˠˤˀˡⁿʼ˞‿|‖.-"


@lru_cache(maxsize=1024)
def articulations(ipa: str) -> tuple[tuple[Articulation, ...], str]:
    """Return how a phoneme looks, part by part: a diphthong or an affricate has two.

    Stress, length, tone and accents are not seen, but for that of rounding (ʷ).

    Args:
        ipa: The phoneme.

    Returns:
        At least one; and the symbols that are not known, each of which looks neutral.
    """
    parts, unknown = list[Articulation](), ""
    for symbol in unicodedata.normalize("NFD", ipa.translate(_SPELLINGS)):
        if symbol == _ROUNDING and parts:
            parts[-1] = replace(parts[-1], spread=-0.7, lips=1.0)
        elif symbol in _BY_SYMBOL:
            parts.append(_BY_SYMBOL[symbol])
        elif symbol not in _UNSEEN and unicodedata.category(symbol) not in ("Mn", "Lm", "Sk"):
            parts.append(NEUTRAL)
            unknown += symbol
    return tuple(parts) or (NEUTRAL,), unknown
