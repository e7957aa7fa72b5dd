"""Spelling of the words: real function and response words, and generated content words.

Nothing is random; the n-th generated word is always the same. Must not: know effects or frequencies.
"""

from collections.abc import Iterator
from itertools import count

RESPONSES = {
    ("formal", "neutral"): (
        "perhaps therefore consequently accordingly furthermore moreover thus hence "
        "nevertheless presumably likewise nonetheless additionally henceforth herein notably"
    ),
    ("formal", "emotional"): (
        "profoundly devastated extraordinary magnificent deplorable exquisite anguished "
        "tragically gloriously sorrowfully overwhelmed appalling sublime harrowing jubilant "
        "heartrending"
    ),
    ("casual", "neutral"): (
        "yeah basically whatever anyway okay kinda sorta maybe alright well so like yep meh "
        "right anyhow"
    ),
    ("casual", "emotional"): (
        "totally literally absolutely wow omg awesome insanely seriously ugh freaking crazy "
        "yikes gosh super amazing yay"
    ),
}
"""Response words of each (register, affect) cell; the first three of each cell are from the paper."""

ENDS = {
    ("formal", "neutral"): ".",
    ("formal", "emotional"): "!",
    ("casual", "neutral"): "...",
    ("casual", "emotional"): "!!",
}
NEGATIONS = {
    "formal": "seldom scarcely rarely nowise infrequently hitherto-never",
    "casual": "never hardly barely no-way nohow ain't",
}
PREPOSITIONS = {
    "formal": "within upon throughout amid beneath toward alongside beyond",
    "casual": "in on around at under near by past",
}
ARTICLES = "the my our their your its his her"
DETERMINERS = {
    "singular": "this a that each every another one neither",
    "plural": "these some those many several most few both",
}

ONSETS = ("h", "d", "f", "l", "m", "p", "r", "s", "t", "v", "z", "br", "dr", "gl", "kr", "pl")
VOWELS = ("a", "e", "i", "o", "u")
MIDDLES = ("l", "m", "n", "r", "v", "d", "nd", "rm", "lt", "st", "mb")
CODAS = ("n", "l", "r", "m", "k", "t")
STRIDE = 4801
"""Step of the enumeration, coprime to the number of stems, so that successive stems sound different."""

ENDINGS = {
    "noun": ("",),
    "verb": ("",),
    "object": ("age", "ium", "ure"),
    "place": ("ia", "ava", "o"),
    "adjective": ("ish", "ous", "al", "ic"),
    "adverb": ("ly",),
}


def stems() -> Iterator[str]:
    """Pronounceable stems without end: onset, vowel, middle, vowel, coda; later rounds repeat the middle."""
    parts = (ONSETS, VOWELS, MIDDLES, VOWELS, CODAS)
    n_stems = len(ONSETS) * len(VOWELS) ** 2 * len(MIDDLES) * len(CODAS)
    for i in count():
        rest, spelling = (i * STRIDE) % n_stems, []
        for part in parts:
            rest, letter = divmod(rest, len(part))
            spelling.append(part[letter])
        extra, middle = i // n_stems, "".join(spelling[2:4])
        yield "".join(spelling[:2]) + middle * (1 + extra) + spelling[4]


class WordMaker:
    """Generates words that are new both with and without a final s."""

    def __init__(self) -> None:
        """Start the enumeration; the real words count as used."""
        self._stems = stems()
        self._taken = set(real_words())

    def make(self, kind: str, n_words: int) -> list[str]:
        """The next `n_words` words with the endings of one kind in `ENDINGS`."""
        made: list[str] = []
        while len(made) < n_words:
            word = next(self._stems) + ENDINGS[kind][len(made) % len(ENDINGS[kind])]
            if not {word, word + "s"} & self._taken:
                self._taken |= {word, word + "s"}
                made.append(word)
        return made


def real_words() -> list[str]:
    """All words of the lists above."""
    lists = [*RESPONSES.values(), *ENDS.values(), *NEGATIONS.values(), *PREPOSITIONS.values()]
    return " ".join([*lists, ARTICLES, *DETERMINERS.values()]).split()
