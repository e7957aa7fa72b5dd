"""What a text lacks of which a split gets too little: documents, their length, or both.

Must not: read a text.
"""

from collections.abc import Mapping, Sequence

from fispace.study.config.extract import ExtractStep, TextConfig

CUT_BY: Mapping[str, str] = {
    "txt": "set extract.text.delimiter to the regular expression between them (now '{delimiter}'; line ends "
    "are read as \\n, so a blank line is '\\n\\s*\\n')",
    "jsonl": "give each a line of its own",
    "parquet": "give each a row of its own",
    "hub": "give each a row of its own",
    "testbed": "set testbed.corpus.n_documents to more",
}
"""How the documents of a source are told apart."""


def what_is_missing(
    params: ExtractStep, text: TextConfig, is_own: Sequence[bool], n_windows: int
) -> str:
    """Sentences for the message; `is_own` says of each document of the text whether it is the split's."""
    n_own = sum(is_own)
    if not is_own:
        return "It holds no document that is not blank."
    if n_own == 0:
        delimiter = (text.delimiter or "").replace("\n", r"\n")
        cut = CUT_BY[text.source].format(delimiter=delimiter)
        return (
            "What is missing is documents, not text: a document goes to one split as a whole, and the text "
            f"has {len(is_own)}, none of which goes to this one. Give more documents; if what was read as "
            f"one is several, {cut}."
        )
    if n_windows == 0:
        return (
            f"None of its documents ({n_own}) has as many tokens as extract.min_window_tokens="
            f"{params.min_window_tokens}. Give longer documents, or set it to less."
        )
    return (
        f"Its documents ({n_own}) are too few or too short. Give more text, a smaller "
        "extract.min_window_tokens, or fewer extract.shards."
    )
