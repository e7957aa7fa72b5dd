"""The page that a reader sees: the tables as Markdown. Must not: measure, or type a number by hand."""

from typing import Any

import pandas as pd

from benchmarks.job import CONTESTANTS, MIDDLE
from benchmarks.ratios import Ratio, all_ratios
from benchmarks.tables import Tables

Lines = list[str]


def page(tables: Tables, machine: dict[str, Any]) -> str:
    """All of table.md."""
    return _joined(
        step_block(tables["steps"], tables["memory"]),
        ratio_block(all_ratios(tables)),
        quality_block(tables["quality"]),
        scaling_block(tables["scaling"]),
        data_block(tables["data"]),
        machine_block(machine),
    )


def published_block(tables: Tables, machine: dict[str, Any]) -> str:
    """The share of it that the documentation shows: steps, quality, and the machine."""
    return _joined(
        step_block(tables["steps"], tables["memory"]),
        quality_block(tables["quality"]),
        machine_block(machine),
    )


def step_block(steps: pd.DataFrame, memory: pd.DataFrame) -> Lines:
    """Median milliseconds of a step at every size, and the memory at the middle one."""
    sizes: list[Any] = list(steps.drop_duplicates("n_latents").itertuples())
    median = steps.pivot_table("median_s", "contestant", "n_latents", sort=False)
    mib = memory.pivot_table("training_mib", "contestant", "n_latents", sort=False)
    rows = [
        [
            CONTESTANTS[str(name)].label,
            *(_times_ours(median, str(name), size.n_latents) for size in sizes),
            f"{mib[MIDDLE.n_latents][name]:,.0f}",
        ]
        for name in median.index
    ]
    heads = [f"{size.d_model} / {size.n_latents:,}" for size in sizes]
    return [
        "Milliseconds of a training step at d_model / n_latents (in brackets: times our SAE step), "
        f"and MiB of memory at {MIDDLE.d_model} / {MIDDLE.n_latents:,}:",
        "",
        *_table(["", *heads, "MiB"], rows),
    ]


def _times_ours(median: pd.DataFrame, contestant: str, n_latents: int) -> str:
    taken, ours = median[n_latents][contestant], median[n_latents]["fispace_sae"]
    return f"{1000 * taken:,.0f} ({taken / ours:.2f})"


def ratio_block(ratios: list[Ratio]) -> Lines:
    """Every ratio; of two step times, two times a token, or two FVUs."""
    if not ratios:
        return []
    rows = [[ratio.what, f"{ratio.value:.2f}{'×' if ratio.is_speedup else ''}"] for ratio in ratios]
    return [
        f"Ratios (steps at {MIDDLE.d_model} / {MIDDLE.n_latents:,}):",
        "",
        *_table(["", "ratio"], rows),
    ]


def quality_block(quality: pd.DataFrame) -> Lines:
    """Mean held-out FVU over seeds by learning rate, and the minutes of a training."""
    blocks: Lines = []
    for (run, _), rows in quality.groupby(["run", "n_latents"], sort=False):
        fvu = rows.groupby(["contestant", "lr"], sort=False)["fvu"].mean().unstack()
        seconds = rows.groupby("contestant")["seconds"].mean()
        cells = [
            [
                CONTESTANTS[str(name)].label,
                *(f"{value:.5f}" for value in fvu.loc[name]),
                f"{seconds[name]:.0f}",
            ]
            for name in fvu.index
        ]
        first = rows.iloc[0]
        blocks += [
            f"FVU on held-out documents of `{run}` after {first['n_tokens']:,} tokens "
            f"({first['d_model']} / {first['n_latents']:,}, k {first['k']}, mean over "
            f"{rows['seed'].nunique()} seeds), by learning rate, and seconds of a training:",
            "",
            *_table(["", *(f"lr {lr:g}" for lr in fvu.columns), "s"], cells),
            "",
        ]
    return blocks[:-1]


def scaling_block(scaling: pd.DataFrame) -> Lines:
    """Microseconds a token of the NFM parts by number of latents, and how many a batch uses."""
    if scaling.empty:
        return []
    cost = scaling.pivot_table("us_per_token", "contestant", "n_latents", sort=False)
    active = scaling.pivot_table("active_latents", "contestant", "n_latents", sort=False)
    rows = [
        [
            CONTESTANTS[str(name)].label,
            *(f"{cost[n][name]:.1f} ({active[n][name]:,.0f})" for n in cost.columns),
        ]
        for name in cost.index
    ]
    return [
        "Microseconds a token of the NFM parts alone, codes given, by number of latents (in "
        "brackets: how many of them a batch uses):",
        "",
        *_table(["", *(f"{n:,}" for n in cost.columns)], rows),
    ]


def data_block(data: pd.DataFrame) -> Lines:
    """Loader, extraction and memory."""
    if data.empty:
        return []
    rows = [
        [str(row["what"]), str(row["quantity"]).replace("_", " "), f"{row['value']:,.4g}"]
        for row in data.to_dict("records")
    ]
    return ["The data path:", "", *_table(["", "", ""], rows)]


def gpu_page(tables: Tables, machine: dict[str, Any]) -> str:
    """All of a GPU's table.md, which the documentation shows too."""
    steps, memory = tables["steps"], tables["memory"]
    blocks = [_gpu_steps(own, memory) for _, own in steps.groupby("n_latents", sort=False)]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    card = machine["cuda_device"] or "the processor, to try the script"
    about = [
        f"{card}; {versions}. Matrix products in bfloat16, weights and moments in float32. Batches are "
        "drawn on the card and are not counted. Tools run one after the other."
    ]
    quality = quality_block(tables["quality"]) or ["Quality on a GPU: not measured."]
    return _joined(*blocks, quality, about)


def _gpu_steps(steps: pd.DataFrame, memory: pd.DataFrame) -> Lines:
    """Step time, tokens a second and peak memory of every contestant at one size."""
    first: Any = next(steps.itertuples())
    mib = memory[memory["n_latents"] == first.n_latents].set_index("contestant")["peak_mib"]
    rows = [
        [
            CONTESTANTS[str(row["contestant"])].label,
            f"{1000 * row['median_s']:,.2f}",
            f"{row['tokens_per_s']:,.0f}",
            f"{mib[row['contestant']]:,.0f}",
        ]
        for row in steps.to_dict("records")
    ]
    title = (
        f"d_model {first.d_model:,}, {first.n_latents:,} latents, k {first.k:,}, d_embed "
        f"{first.d_embed:,}, {first.batch_tokens:,} tokens a step (median of {first.n_rounds}):"
    )
    return [title, "", *_table(["", "ms a step", "tokens a second", "MiB at the peak"], rows)]


def machine_block(machine: dict[str, Any]) -> Lines:
    """What the numbers were measured with."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['cores']} cores, {machine['threads']} thread a tool"
    return [
        f"{cores}; {versions}. Trained in fp32; ours picks candidates in bfloat16 where "
        "`train.topk_dtype: auto` does, and nowhere in rows chosen in float32."
    ]


def _joined(*blocks: Lines) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> Lines:
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, ruler, *rows)]
