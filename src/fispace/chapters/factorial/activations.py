"""`factorial activations`: the LM reads every text once, for all seeds; one file per half.

Must not: know a trained model.
"""

from fispace.chapters.factorial.design import CONFIRM, SELECT
from fispace.chapters.factorial.tables import CONTEXTS, ITEMS
from fispace.devices import prepare
from fispace.lm.generate import require_room
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words
from fispace.lm.stimuli import stimulus_table
from fispace.store.shards import write_shard
from fispace.store.tables import read_csv
from fispace.study.config.factorial import BatteryActivationsStep
from fispace.study.step import Reads, ReadsFolder, Unrecorded, Writes, command

IN_COLUMN = "special_tokens"
"""Parameter that the recipe leaves out: the column `is_special` holds its effect on each token."""


@command("factorial", "activations", sections=("extract",))
def read_stimuli(
    params: BatteryActivationsStep, *, item_table: Reads, contexts: Reads, lm_folder: ReadsFolder | None,
    n_contexts: Unrecorded[int], n_tokens: Unrecorded[int], select: Writes, confirm: Writes,
) -> None:  # fmt: skip
    """Write the LM's activations at the hook point on every text, one file per half.

    This job needs no trained model and is the first in which LM and battery meet. So it also refuses an LM
    in which `factorial generate` could not continue the first `n_contexts` contexts by `n_tokens` tokens.

    Raises:
        ModelError: if the LM cannot be loaded, or has too few positions for a text, or for a context with
            its continuation.
        StimuliError: if a text does not fit into one window.
    """
    device = prepare(params.threads, params.device)
    model, tokenizer = load_lm(params.lm, lm_folder, device)
    prompts = read_csv(contexts, CONTEXTS)["prompt"].head(n_contexts).tolist()
    require_room(model, plan_words(tokenizer, prompts, [], params.add_bos).prompts, n_tokens)
    table = read_csv(item_table, ITEMS)
    for half, path in ((SELECT, select), (CONFIRM, confirm)):
        texts = table.loc[table["half"] == half, "text"].tolist()
        step = {"step": "factorial activations", "half": half, "lm": params.lm.recorded}
        recipe = {name: value for name, value in params.plain().items() if name != IN_COLUMN} | step
        rows = stimulus_table(params, model, tokenizer, texts)
        write_shard(path, rows, len(rows), recipe)
