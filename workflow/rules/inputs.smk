# Inputs that depend on the study or on a wildcard. Holds no rule.
LM_FILES = ["config.json", "generation_config.json", "model.safetensors"]
LM_FILES += ["tokenizer.json", "tokenizer_config.json"]
CURVE_SAE = ALL_ARMS[CURVE_ARM]["frozen_sae_from"]
# a value that changes no result, so changing it reruns nothing
CHECKPOINT_SECONDS = STUDY["train"]["checkpoint_seconds"]
ARM, BATTERY = STUDY["factorial"]["arm"], STUDY["factorial"]["battery"]
ARM_WEIGHTS = per_seed(f"results/{{run}}/train/{ARM}/seed{{seed}}.safetensors")
TESTBED_BATTERY = {"stimuli": "stimuli.csv", "responses": "grammar.json"}
FOLDER_BATTERY = {name: f"{name}.csv" for name in ["stimuli", "responses", "prompts"]}

TRUTH_FILES = ["truth.csv", "truth_words.parquet"] if BATTERY == "testbed" else []
IMPORTS, NOTHING = imports_of(STUDY["train"]), "(?!)"  # the second matches no name
try:
    IMPORTED_FILES = {arm: files_of_import(arm, folder) for arm, folder in IMPORTS.items()}
except ParamsError as error:
    raise WorkflowError(str(error)) from None
TRAINED, ALL_TRAINED = ([arm for arm in of if arm not in IMPORTS] for of in [ARMS, ALL_ARMS])


def testbed_lm(wildcards):
    """Files of the testbed's LM if the study reads from it; else nothing."""
    return of_run("results/{run}/testbed/lm/{name}", name=LM_FILES if OWN_LM else [])


def testbed_corpus(wildcards):
    """The testbed's corpus if the study reads it; else nothing."""
    used = any(text["source"] == "testbed" for text in TEXTS)
    return of_run("results/{run}/testbed/corpus.parquet") if used else []


def battery_files(wildcards):
    """Stimuli and response words by name, and neutral prompts where the battery has them."""
    if BATTERY == "testbed":
        return {key: f"results/{RUN}/testbed/{name}" for key, name in TESTBED_BATTERY.items()}
    return {key: f"data/stimuli/{BATTERY}/{name}" for key, name in FOLDER_BATTERY.items()}


def candidate_curves(wildcards):
    """Curves of the learning rates to choose from; nothing where there is no choice."""
    return of_run("results/{run}/train/lr/{lr}.curve.parquet", lr=RATES if RATES[1:] else [])


def frozen_sae(wildcards):
    """Weights of the arm whose SAE this arm copies and freezes; nothing for most arms."""
    arms = filter(None, [ALL_ARMS[wildcards.arm]["frozen_sae_from"]])
    seed = getattr(wildcards, "seed", SEARCH_SEED)  # a try has no seed in its name
    return [f"results/{RUN}/train/{arm}/seed{seed}.safetensors" for arm in arms]


def chosen_settings(wildcards):
    """The settings of the arm if arms are tuned; else the rate that they share."""
    is_tuned = (changed(wildcards) or {}).get("tuned", STUDY["train"]["tuned"])
    name = f"tuned/{wildcards.arm}" if is_tuned else "lr"
    return f"results/{RUN}/train/{name}.json"


def tuned_arms(wildcards):
    """The settings of every arm of the target that the wildcard `full` names."""
    arms = ALL_TRAINED if wildcards.full else TRAINED
    return of_run("results/{run}/train/tuned/{arm}.json", arm=arms)


def shares_of_world(wildcards):
    """Shares that the planted pairs of a world have; none are planted in the further worlds."""
    is_null = int(wildcards.world) in NULL_WORLDS
    return [0.0] if is_null else STUDY["testbed"]["planted"]["shares"]


def row(wildcards):
    """The row of the arm."""
    return ALL_ARMS[wildcards.arm]


def matched_row(wildcards):
    """The row of the arm whose parameter count this arm has; nothing for most arms."""
    return ALL_ARMS.get(ALL_ARMS[wildcards.arm]["matched_to"])


def changed(wildcards):
    """Parameters of a training that replace the study's; None for most trainings."""
    return VARIANTS[wildcards.variant]


def interactions(wildcards):
    """Weights of every arm of the target full that has an interaction, with all its seeds."""
    path, arms = "results/{run}/train/{arm}/seed{seed}.safetensors", ALL_ARMS
    own = {arm for arm in arms if "interaction" in arms[arm]["parts"]}
    more = of_run(path, arm=own & set(MORE["arms"]), seed=MORE["seeds"])
    return sorted(of_run(path, arm=own, seed=SEEDS) + more)


def live_units(wildcards):
    """The table of live hidden units: of the arms of every run, or of all arms of the target full."""
    return f"results/{RUN}/geometry/{'full/heads' if wildcards.full else 'summary'}.csv"


def floor(wildcards):
    """The LM's loss beside its Bayes floor, which is known for the testbed's LM alone."""
    return of_run("results/{run}/testbed/floor.json") if OWN_LM else []


def only_full(path):
    """An input function: the path if the wildcard `full` names the target full, else nothing."""
    return lambda wildcards: of_run(path) if wildcards.full else []


def imported_files(wildcards):
    """Files of the SAE that this arm imports."""
    return IMPORTED_FILES[wildcards.arm]


def curves_of_target(wildcards):
    """Training curves of the target that the wildcard `full` names; an imported arm has none."""
    path = "results/{run}/train/{arm}/seed{seed}.curve.parquet"
    own = of_run(path, arm=ALL_TRAINED if wildcards.full else TRAINED, seed=SEEDS)
    more = [arm for arm in MORE["arms"] if arm in ALL_TRAINED] if wildcards.full else []
    return own + of_run(path, arm=more, seed=MORE["seeds"])
