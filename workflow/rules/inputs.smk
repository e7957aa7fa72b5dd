# Inputs that depend on the study or on a wildcard. Holds no rule.
ARM, BATTERY = STUDY["factorial"]["arm"], STUDY["factorial"]["battery"]
ARM_WEIGHTS = per_seed(f"results/{{run}}/train/{ARM}/seed{{seed}}.safetensors")
TESTBED_BATTERY = {"stimuli": "stimuli.csv", "responses": "grammar.json"}
FOLDER_BATTERY = {name: f"{name}.csv" for name in ["stimuli", "responses", "prompts"]}

TRUTH_FILES = ["truth.csv", "truth_words.parquet"] if BATTERY == "testbed" else []


def testbed_lm(wildcards):
    """Files of the testbed's LM if the study reads from it; else nothing."""
    return of_run("results/{run}/testbed/lm/{name}", name=LM_FILES if OWN_LM else [])


def testbed_corpus(wildcards):
    """The testbed's corpus if the study reads it; else nothing."""
    used = any(text["source"] == "testbed" for text in TEXTS)
    return of_run("results/{run}/testbed/corpus.parquet") if used else []


def given_model(wildcards):
    """Files of the model folder that the user named; nothing for a hub name or the testbed."""
    folder = Path(STUDY["lm"]["name"])
    return [] if OWN_LM else sorted(str(path) for path in folder.glob("*.*"))


def given_files(wildcards):
    """The model and text files that the user named; a missing one is the step's error to explain."""
    paths = [text["path"] for text in TEXTS if Path(text["path"] or "").is_file()]
    return given_model(wildcards) + paths


def candidate_curves(wildcards):
    """Curves of the learning rates to choose from; nothing where there is no choice."""
    return of_run("results/{run}/train/lr/{lr}.curve.parquet", lr=RATES if RATES[1:] else [])


def frozen_sae(wildcards):
    """Weights of the arm whose SAE this arm copies and freezes; nothing for most arms."""
    arms = filter(None, [ALL_ARMS[wildcards.arm]["frozen_sae_from"]])
    return [f"results/{RUN}/train/{arm}/seed{wildcards.seed}.safetensors" for arm in arms]


def matched_row(wildcards):
    """Option with the row of the arm whose parameter count this arm has; nothing for most arms."""
    name = ALL_ARMS[wildcards.arm].get("matched_to")
    return f"--matched-row '{json.dumps(ALL_ARMS[name])}'" if name else ""


def study_files(wildcards):
    """What all chapters promise; the testbed's only if the study uses it."""
    chapters = [rules.extract, rules.train, rules.fidelity, rules.geometry]
    chapters += [rules.factorial, rules.report] + [rules.testbed] * uses_testbed(STUDY)
    return [path for chapter in chapters for path in chapter.input]


def full_files(wildcards):
    """What the target full promises beyond the chapters."""
    of_rules = list(rules.factorial_calibrate.output) + list(rules.testbed_planted_summary.output)
    figures = of_run("results/{run}/report/figures/{figure}.{suffix}", figure=OF_FULL, suffix=DRAWN)
    names = ["summary", "differences", "controls", "gain_curve"]
    path = "results/{run}/fidelity/full/{name}.{suffix}"
    tables = of_run(path, name=names, suffix=["parquet", "csv"])
    names = ["claims.csv", "claims.json", "quantities.csv", "documents.csv", "audit.csv"]
    ledger = of_run("results/{run}/report/full/{name}", name=[*names, "summary.md"])
    return of_run(of_rules) + figures + tables + ledger


def battery_files(wildcards):
    """Stimuli and response words by name, and neutral prompts where the battery has them."""
    if BATTERY == "testbed":
        return {key: f"results/{RUN}/testbed/{name}" for key, name in TESTBED_BATTERY.items()}
    return {key: f"data/stimuli/{BATTERY}/{name}" for key, name in FOLDER_BATTERY.items()}
