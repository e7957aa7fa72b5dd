# What the targets, the pages and the ledgers are made of. Holds no rule.
# rule files beside those that have the name of a chapter
FURTHER = ["imports", "train_tuning", "fidelity_tables", "fidelity_controls", "interactions_checks"]
FURTHER += [
    "factorial_latents",
    "factorial_infer",
    "report_pages",
    "report_plots",
    "draw",
    "aliases",
    "resources",
]


def target(wildcards):
    """Target of the ledger or page."""
    return "full" if wildcards.full else "all"


def page(wildcards):
    """Figures of the summary; of the target full, its own overview of the claims among them."""
    return FULL_PAGE if wildcards.full else FIGURES


def drawings_of_page(wildcards):
    """The drawings of these figures."""
    return of_run("results/{run}/report/figures/{figure}.svg", figure=page(wildcards))


def ledger_of_figure(wildcards):
    """The ledger that the overview of the claims shows: that of all, or of the target full."""
    return of_run("results/{run}/report/{full}claims.csv", full="full/" if wildcards.tag else "")


def study_files(wildcards):
    """Results of all chapters; of the testbed only if the study uses it."""
    unused = [] if uses_testbed(STUDY) else ["testbed"]
    chapters = [getattr(rules, chapter) for chapter in CHAPTERS if chapter not in unused]
    return [path for chapter in chapters for path in chapter.input]


def full_files(wildcards):
    """What the target full promises beyond the chapters: the results of its commands, its figures,
    and its own tables."""
    outputs = [getattr(rules, each.rule).output for each in all_commands() if each.target == "full"]
    results = [
        path for output in outputs for path in output if path.get_wildcard_names() == {"run"}
    ]
    figures = of_run("results/{run}/report/figures/{figure}.{suffix}", figure=OF_FULL, suffix=DRAWN)
    tuning = of_run("results/{run}/train/full/tuning.csv") if STUDY["train"]["tuned"] else []
    summary = of_run("results/{run}/fidelity/full/summary.{suffix}", suffix=["parquet", "csv"])
    return (
        of_run(results)
        + figures
        + summary
        + tuning
        + of_run("results/{run}/report/full/{name}", name=LEDGER)
    )
