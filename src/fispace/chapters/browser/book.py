"""The data of the browser's pages, put together latent by latent and written file by file.

Must not: read the activations itself, or compute what it writes.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fispace.chapters.browser.passes import Shown, Source, Spans
from fispace.chapters.browser.records import Cells, History, Nearest, nearest_latents
from fispace.chapters.browser.shards import divided, short, write_shard_file
from fispace.html.render import rendered
from fispace.lm.pieces import TokenTexts
from fispace.store.files import write_text
from fispace.store.split_text import SplitText
from fispace.study.config.browser import BrowserStep

Record = dict[str, Any]


class MovedTokens(NamedTuple):
    """Tokens whose logits one latent moves most, and by how much."""

    promoted: list[int]
    gains: list[float]
    suppressed: list[int]
    losses: list[float]


class Facts(NamedTuple):
    """What is known of the latents beside their texts."""

    history: History | None
    cells: Cells | None
    shares: dict[str, np.ndarray]
    moved: Iterator[MovedTokens] | None
    """Of every active latent in order; None if the head was not run."""


class Book:
    """The pages' data, put together file by file."""

    def __init__(
        self, source: Source, shown: Shown, params: BrowserStep, texts: TokenTexts
    ) -> None:
        """Decode the text; nothing is written yet."""
        self.source, self.shown, self.params, self.texts = source, shown, params, texts
        self.text: SplitText = source.text
        self.spans = Spans(self.text, params.tokens_before, params.tokens_after)
        self.names: dict[str, int] = {}
        self.windows = [self._window(number) for number in range(self.text.n_windows)]
        self.found = _Found(self.text.n_windows)

    def write(self, out: Path, facts: Facts, about: Record) -> None:
        """Write `out/index.html`, and all files in `out/data/`; one file's latents are in memory at a time."""
        chosen = [self._choose(latent) for latent in range(len(self.shown.counts.fired))]
        of_pairs = self._choose_pairs()
        self.spans.fill(self.source)
        records = self._latents(chosen, facts)
        per_file = divided(len(chosen), self.params.latent_files)
        for number in range(self.params.latent_files):
            own = list(islice(records, per_file))
            for place, record in enumerate(own):
                self.found.add(number * per_file + place, record)
            write_shard_file(out, f"latents-{number}", own)
        pairs = [self._pair(number, spans) for number, spans in enumerate(of_pairs)]
        write_shard_file(out, "pairs", pairs)
        per_text = divided(len(self.windows), self.params.text_files)
        for number in range(self.params.text_files):
            own = self.windows[number * per_text : (number + 1) * per_text]
            write_shard_file(out, f"text-{number}", own)
        write_shard_file(out, "tokens", list(self.names))
        write_shard_file(out, "search", {"shown": self.found.shown(), "up": self.found.up})
        index = self._index(facts, {"latents": per_file, "windows": per_text})
        write_shard_file(out, "index", about | index)
        page = rendered(
            "browser.html.j2", styles=("page.css", "browser.css"), script="browser.js", shards=True,
            title=f"{about['run']}: latents of {about['arm']}, seed {about['seed']}",
        )  # fmt: skip
        write_text(out / "index.html", page)

    def _choose(self, latent: int) -> tuple[list[int], list[tuple[float, int]]]:
        """Spans of the latent's strongest windows, and of its tokens at the quantiles."""
        counts = self.shown.counts
        tokens = counts.top.tokens[latent]
        top = [self.spans.add(latent, int(token)) for token in tokens[tokens >= 0]]
        found = [(share, counts.at_quantile(latent, share)) for share in self.params.quantiles]
        at = [(share, self.spans.add(latent, token)) for share, token in found if token is not None]
        return top, at

    def _choose_pairs(self) -> list[list[tuple[int, int]]]:
        """Two spans of each context of each pair: one for either latent."""
        if self.shown.of_pairs is None:
            return []
        found: list[list[tuple[int, int]]] = []
        for pair, tokens in zip(self.shown.pairs, self.shown.of_pairs.top.tokens, strict=True):
            both = (pair.first, pair.second)
            own = [[self.spans.add(one, int(t)) for one in both] for t in tokens[tokens >= 0]]
            found.append([(first, second) for first, second in own])
        return found

    def _name(self, text: str) -> int:
        """Number of a token's text in the table of texts."""
        return self.names.setdefault(text, len(self.names))

    def _window(self, number: int) -> list[Any]:
        """Document of a window, and the numbers of its tokens' texts."""
        ids = self.text.token_ids[self.text.window(number)].tolist()
        own = [self._name(text) for text in self.texts.of_window(ids)]
        return [int(self.text.document_ids[number]), own]

    def _context(self, span: int) -> list[Any]:
        """Window, first position, length, place of the token, and the activations that are not zero."""
        window, begin, end, position = self.spans.bounds(span)
        values = self.spans.shown(span)
        active = [[int(i), short(float(values[i]))] for i in np.flatnonzero(values)]
        return [window, begin, end - begin, position - begin, active]

    def _latents(
        self, chosen: Sequence[tuple[list[int], list[tuple[float, int]]]], facts: Facts
    ) -> Iterator[Record]:
        counts, moved = self.shown.counts, facts.moved or iter(())
        nearest: Iterator[Nearest] = iter(())
        if self.params.nearest:
            nearest = nearest_latents(self.source.model.sae.W_dec, self.params.nearest)
        of_latents = self._pairs_of_latents()
        for latent, (top, at) in enumerate(chosen):
            record: Record = {"top": [self._context(span) for span in top]}
            record["at"] = [[share, *self._context(span)] for share, span in at]
            if counts.fired[latent]:
                record["bins"] = self.shown.histogram[latent].tolist()
                record |= self._moved(next(moved, None))
            if near := next(nearest, None):
                record["near"] = [[i, short(c)] for i, c in zip(*near, strict=True)]
            if facts.history is not None:
                record["norm"] = list(map(short, facts.history.norms[latent]))
                record["fired"] = list(map(short, facts.history.densities[latent]))
            if facts.cells is not None:
                record["cells"] = list(map(short, facts.cells.means[latent]))
            if facts.shares:
                record["shares"] = [
                    short(float(values[latent])) for values in facts.shares.values()
                ]
            if latent in of_latents:
                record["pairs"] = of_latents[latent]
            yield record

    def _moved(self, moved: MovedTokens | None) -> Record:
        if moved is None:
            return {}
        up, down = (
            [[self._name(self.texts.one(i)), short(v)] for i, v in zip(ids, changes, strict=True)]
            for ids, changes in ((moved.promoted, moved.gains), (moved.suppressed, moved.losses))
        )
        return {"up": up, "down": down}

    def _pairs_of_latents(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, pair in enumerate(self.shown.pairs):
            for latent in (pair.first, pair.second):
                found.setdefault(latent, []).append(number)
        return found

    def _pair(self, number: int, spans: Sequence[tuple[int, int]]) -> Record:
        pair, counts = self.shown.pairs[number], self.shown.counts
        assert self.shown.of_pairs is not None
        own = (int(counts.fired[latent]) for latent in (pair.first, pair.second))
        together = int(self.shown.of_pairs.together[number])
        contexts = [[*self._context(one), self._context(other)[-1]] for one, other in spans]
        return {
            "latents": [pair.first, pair.second], "weight": short(pair.weight), "together": together,
            "alone": [n - together for n in own], "contexts": contexts,
        }  # fmt: skip

    def _index(self, facts: Facts, per_file: dict[str, int]) -> Record:
        """What the list of latents shows, and what the page must know to load the rest."""
        counts, params, model = self.shown.counts, self.params, self.source.model
        history, cells = facts.history, facts.cells
        return {
            "parts": list(model.parts), "k": model.config.k, "split": self.text.split,
            "tokens": len(self.text.rows), "windows": self.text.n_windows,
            "fired": counts.fired.tolist(), "mean": list(map(short, counts.mean)),
            "peak": list(map(short, counts.peak)),
            "token": [self._at_peak(context) for context in self.found.strongest],
            "history": history.n_tokens if history else [], "cells": cells.names if cells else [],
            "items": cells.n_items if cells else 0, "shares": list(facts.shares),
            "per_file": per_file, "pairs": len(self.shown.pairs),
            "files": {"latents": params.latent_files, "text": params.text_files},
            "has_lens": facts.moved is not None,
        }  # fmt: skip

    def _at_peak(self, context: list[Any] | None) -> int:
        """Number of the text of the token on which a latent is most active; -1 if it never is."""
        if context is None:
            return -1
        window, begin, _, place, _ = context
        return self.windows[window][1][begin + place]


class _Found:
    """What a search must know of every latent."""

    def __init__(self, n_windows: int) -> None:
        self._shown = [array("q") for _ in range(n_windows)]
        self.up: list[list[int]] = []
        """Numbers of the texts of each latent's promoted tokens."""
        self.strongest: list[list[Any] | None] = []
        """Each latent's strongest context."""

    def add(self, latent: int, record: Record) -> None:
        contexts = [*record["top"], *(context[1:] for context in record["at"])]
        for window, begin, length, place, _ in contexts:
            self._shown[window].extend((latent, begin, length, place))
        self.up.append([name for name, _ in record.get("up", ())])
        self.strongest.append(record["top"][0] if record["top"] else None)

    def shown(self) -> list[list[int]]:
        """By window, what is shown of it, flat: latent, first position, length, place of the token."""
        return [numbers.tolist() for numbers in self._shown]
