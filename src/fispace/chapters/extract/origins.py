"""The functions and classes with the chapter's equations.

Must not: compute.
"""

EQUATIONS = {
    "fit_standardiser": ("fispace.store.standardiser:Standardiser",),
}
"""Functions and classes with the equations of a step, by the function of the command."""
