"""The chapters of the study, in their order.

Must not: import anything of the package.
"""

CHAPTER_CONTENTS = {
    "testbed": "text, and a language\nmodel that knows it",
    "extract": "activations at one\nhook point, standardised",
    "train": "every arm and seed,\none loop",
    "fidelity": "FVU; KL, CE of\nthe spliced model",
    "geometry": "norms, spectra,\ncontributions, nulls",
    "interactions": "pairs of latents\nthat combine",
    "factorial": "2x2 stimuli, clamping,\nsecondary SAE",
    "report": "claims with verdicts,\nfigures",
}
"""Chapters in their order, with the text of their boxes in the diagram of the study (paper F1)."""

CHAPTERS = tuple(CHAPTER_CONTENTS)
"""Chapters; each reads only results of those before it."""

BESIDE = ("browser",)
"""Made like a chapter, but only by its own target and by `full`; nothing reads it, and it can be made again
in seconds from results, so it is no DVC stage."""

STEP_FOLDERS = {chapter: f"chapters/{chapter}" for chapter in (*CHAPTERS, *BESIDE)}
STEP_FOLDERS |= {"report": "report"}
"""Folder of a chapter's steps, below the package."""
