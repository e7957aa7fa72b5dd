"""Where the chapter's equations are.

Must not: compute.
"""

EQUATIONS = {
    "fit_standardiser": ("fispace.store.standardiser:Standardiser",),
}
"""Functions and classes that hold a step's equations, by the function of the command."""
