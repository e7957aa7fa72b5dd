"""The metrics of the study's tables: what each number is, its unit, and which direction is better.

A metric has one unit, which every table takes from here. Must not: compute.
"""

import re
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from fispace.store.quantities import Frame


class Better(StrEnum):
    """Which direction of a metric is the better one."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Metric(NamedTuple):
    """One metric, or a family of metrics whose names differ in a slot."""

    name: str
    """Name in tables; `{slot}` stands for any word that `SLOTS` allows there."""
    unit: str
    """A key of `UNITS`."""
    better: Better
    definition: str


LOWER, HIGHER, NEITHER = Better.LOWER, Better.HIGHER, Better.NEITHER

RATIO = "ratio"
FRACTION = "fraction"
UNITS = {
    "1": "a number without a unit",
    FRACTION: "share of a whole, or 1 minus a ratio; 1 is 100 %",
    RATIO: "one quantity over another of the same unit",
    "z": "standardised activation: each dimension has mean 0 and variance 1 on the train split",
    "z2": "squared standardised activation: 1 is the variance of a dimension on the train split",
    "activation": "code of one latent, standardised activation along its encoder row",
    "activation squared": "squared activation as the language model holds it",
    "pooled": "coordinate of the interaction's pooled vector",
    "nats": "natural logarithm of a probability ratio, per token where tokens are scored",
    "nats per prompt": "the same, per prompt",
    "nats per unit of multiplier": "slope of a response in nats over the clamp's multiplier",
    "latents": "a count of latents",
    "latents per token": "mean count of latents",
    "pairs": "a count of pairs of latents",
    "triples": "a count of triples of latents",
    "tokens": "a count of tokens",
    "documents": "a count of documents",
    "components": "a count of principal components",
    "parameters": "a count of trained numbers",
}
"""Every unit, and what it means."""

SLOTS = {
    "loss": "mse|fvu|kl|ce|excess_ce",
    "part": "decoder|linear|interaction|total",
    "own_part": "sae|linear|bias|interaction",
    "matrix": "decoder|linear|factors",
    "quantile": "low|median|high",
    "group": "low|high",
    "split": "|_mixture",
    "score": "factor|functional",
    "kind": "[a-z_]+",
    "rank": "[0-9]+",
}
"""Words that a slot of a name may hold. `split`: norm groups are separated at the paper's squared norm, or
between the two modes of the mixture."""

FIDELITY = (
    Metric("mse", "z2", LOWER, "mean squared error over tokens and dimensions, standardised"),
    Metric("mse_raw", "activation squared", LOWER, "the same before standardising"),
    Metric("fvu", FRACTION, LOWER, "fraction of variance unexplained: Σ|x - x̂|² / Σ|x - x̄|²"),
    Metric("fvu_raw", FRACTION, LOWER, "the same before standardising"),
    Metric("l0", "latents per token", NEITHER, "mean count of active latents"),
    Metric("dead_fraction", FRACTION, LOWER, "share of latents that never fire in the split"),
    Metric("dead_fraction_window", FRACTION, LOWER, "share of latents silent in a window, on average"),
    Metric("kl", "nats", LOWER, "KL(original LM || spliced LM), mean over tokens"),
    Metric("ce", "nats", LOWER, "cross-entropy of the next token"),
    Metric("excess_ce", "nats", LOWER, "CE - CE of the original LM on the same tokens; any sign"),
    Metric("ce_recovered_zero", FRACTION, HIGHER,
           "(CE of zero ablation - CE) / (CE of zero ablation - CE of the original)"),
    Metric("ce_recovered_mean", FRACTION, HIGHER, "the same with mean ablation"),
    Metric("kl_epsilon", "nats", NEITHER, "KL of random errors of the condition's own norm"),
)  # fmt: skip
CONTRASTS = (
    Metric("{loss}_gain", FRACTION, HIGHER, "1 - loss / loss of the baseline"),
    Metric("{loss}_last_step", FRACTION, HIGHER,
           "(loss without the part - loss) / loss of the SAE with bias"),
    Metric("{loss}_gain_share", FRACTION, HIGHER,
           "gain of SAE + bias + part over the SAE part, as a share of the full model's gain over it"),
    Metric("kl_over_epsilon", RATIO, LOWER, "KL / KL of random errors of the condition's own norm"),
    Metric("kl_over_sae_epsilon", RATIO, LOWER, "KL / KL of random errors of the SAE part's norm"),
    *(Metric(f"{loss}_{saving}", unit, HIGHER, f"{definition}, in the unit of the loss")
      for loss, unit in (("mse", "z2"), ("fvu", FRACTION), ("kl", "nats"), ("ce", "nats"),
                         ("excess_ce", "nats"))
      for saving, definition in (("reduction", "loss of the baseline - loss"),
                                 ("last_reduction", "loss without the part - loss"))),
    *(Metric(f"kl_above_{random}epsilon", "nats", LOWER, f"KL - KL of random errors of {whose} norm")
      for random, whose in (("", "the condition's own"), ("sae_", "the SAE part's"))),
    Metric("gain", FRACTION, HIGHER, "1 - FVU / FVU of the baseline that the table names"),
    Metric("kl_t", "1", HIGHER, "t of the test that the arm's KL is the lower one"),
    Metric("norm_spearman", "1", NEITHER, "ratio_total_spearman, in the audit"),
    Metric("cut_share", FRACTION, NEITHER, "k at test time over the trained k"),
    Metric("cut_fvu", FRACTION, LOWER, "FVU at that k"),
    Metric("cut_gain", FRACTION, HIGHER, "1 - FVU / FVU of the SAE whose codes are cut to that k"),
    Metric("cut_gain_drop", FRACTION, NEITHER, "cut_gain at K = 250 - cut_gain at K = 500"),
)  # fmt: skip
GEOMETRY = (
    Metric("squared_norm_{matrix}_mean", "z2", NEITHER, "mean squared norm of a latent's row"),
    Metric("squared_norm_{matrix}_{quantile}", "z2", NEITHER, "its 5, 50 and 95 % quantile"),
    Metric("gram_mean_abs_dot", "z2", LOWER, "mean |dot product| of pairs of decoder rows"),
    Metric("mean_abs_cosine", "1", LOWER, "mean |cosine| of pairs of decoder rows"),
    Metric("top_(union|intersection)_cosine", "1", LOWER,
           "mean |cosine| on the union or intersection of two rows' largest coordinates"),
    Metric("top_jaccard", "1", LOWER, "Jaccard index of two rows' largest coordinates"),
    Metric("pca_components", "components", NEITHER, "centred components for the target share of variance"),
    Metric("pca_participation_ratio", "components", NEITHER, "(Σ variance)² / Σ variance²"),
    Metric("pca_above_edge", "components", NEITHER, "components above the Marchenko-Pastur edge"),
    Metric("pca_published", "components", NEITHER, "uncentred, of the first components alone"),
    Metric("pca_published_share", FRACTION, NEITHER, "the same as a share of those looked at"),
    Metric("ratio_{part}_mean", FRACTION, NEITHER, "mean share of a part in the sum of a latent's norms"),
    Metric("ratio_{part}_spearman", "1", NEITHER, "its rank correlation with |W_dec|²"),
    Metric("ratio_{part}_{group}{split}", FRACTION, NEITHER, "its mean over latents of low or high norm"),
    Metric("ratio_{part}_gap{split}", FRACTION, NEITHER, "mean of the low group - mean of the high group"),
    Metric("factor_gini_(max|mean)", "1", NEITHER, "Gini coefficient of |v_i|, over latents"),
    Metric("factor_effective_rank_(min|mean)", "1", NEITHER, "exp(entropy of |v_i| / sum), over latents"),
    Metric("(alive_)?norm_dip", "1", NEITHER, "Hartigan's dip of log norms; of latents that fired"),
    Metric("(alive_)?norm_dip_p", "1", NEITHER, "its p-value"),
    Metric("norm_bic_gain", "nats", NEITHER, "BIC of one Gaussian - BIC of two, log norms"),
    Metric("mixture_threshold", "z2", NEITHER, "squared norm between the two modes"),
    Metric("norm_firing_spearman", "1", NEITHER, "rank correlation of norm and firing rate"),
    Metric("low_group_share{split}", FRACTION, NEITHER, "share of latents of low norm"),
    Metric("{group}_never_fired_share{split}", FRACTION, LOWER, "of a group, latents that never fired"),
    Metric("late_norm_change_{group}{split}", FRACTION, NEITHER,
           "relative change of |w|² in the last part of training, geometric mean over a norm group"),
    Metric("late_norm_change_gap{split}", FRACTION, NEITHER, "late_norm_change_low - late_norm_change_high"),
    Metric("late_silent_share_{group}{split}", FRACTION, NEITHER,
           "latents of a norm group that did not fire in the last part of training"),
    Metric("norm_over_initial_{group}{split}", RATIO, NEITHER,
           "|w|² at the end over |w|² before training, geometric mean over a norm group"),
    Metric("low_in_reach_share{split}", FRACTION, NEITHER,
           "low latents that would be high after as many tokens again, at their last pace"),
    Metric("late_change_firing_spearman", "1", NEITHER,
           "rank correlation of the change of |w|² with the firings in the last part of training"),
    Metric("functional_{part}_mean", FRACTION, HIGHER, "mean growth of FVU without one latent in one part"),
    Metric("functional_{part}_harmful", FRACTION, LOWER, "latents without which FVU falls"),
    Metric("functional_share_{part}", FRACTION, NEITHER, "Σ|growth| of the part / Σ|growth| of all parts"),
    Metric("functional_share_{part}_spearman", "1", NEITHER, "its rank correlation with |W_dec|²"),
    Metric("functional_share_{part}_{group}{split}", FRACTION, NEITHER, "the share in one norm group"),
    Metric("variance_explained_published", FRACTION, HIGHER,
           "1 - Σ var(error) / Σ var(x), per batch of 1,024 tokens; blind to a constant error"),
    Metric("active_share", FRACTION, NEITHER, "share of latents active on a token, or of tokens with one"),
    Metric("never_fired_share", FRACTION, LOWER, "share of latents that never fired"),
    Metric("mean_abs_output_{part}", "z", NEITHER, "mean |output| of a part"),
    Metric("mean_output_share_{part}", FRACTION, NEITHER, "the same over linear + interaction"),
    Metric("interaction_live_units", FRACTION, HIGHER, "hidden units of the interaction that ever fire"),
    Metric("n_latents", "latents", NEITHER, "latents of the arm"),
    Metric("n_parameters", "parameters", NEITHER, "parameters of the arm"),
    Metric("n_parameters_{own_part}", "parameters", NEITHER, "parameters of one part"),
    Metric("parameter_share", FRACTION, NEITHER, "parameters of a part / parameters of the arm"),
)  # fmt: skip
FACTORIAL = (
    Metric("dead_latents", FRACTION, LOWER, "share of the secondary SAE's latents that never fire"),
    Metric("variance_explained", FRACTION, HIGHER, "1 - FVU"),
    Metric("kl_identity_(mean|max)", "nats per prompt", LOWER, "KL of the clamp whose multiplier is 1"),
    Metric("active_prompts_{kind}_{rank}", FRACTION, NEITHER, "prompts on which a latent is active"),
    Metric("pool_(alone|among_others)_max_abs", "pooled", NEITHER, "largest |coordinate| of the pooled vector"),
    Metric("secondary_l0", "latents per token", NEITHER, "secondary latents active on a token"),
    Metric("t", "1", NEITHER, "t of the per-item contrast"),
    Metric("contrast_f", "1", NEITHER, "F(1, n - 1) of the per-item contrast, t²"),
    Metric("(published|two_way)_f", "1", NEITHER, "F of the published test, or of a 2x2 ANOVA"),
    Metric("p|p_sign_flip|p_max|p_equivalence|q|(min_)?published_p|two_way_p", "1", NEITHER,
           "p-value or, as q, false discovery rate"),
    Metric("partial_eta2", FRACTION, NEITHER, "share of variance that the contrast explains"),
    Metric("share_of_bayes", FRACTION, HIGHER, "planted contrast of the LM / of the ideal observer"),
    Metric("share_of_movement", FRACTION, NEITHER, "of what a clamp moves, share along the planted contrast"),
    Metric("(share_)?over_direction", "1", NEITHER, "the same / the same for a random direction of its length"),
)  # fmt: skip
PLANTED_PAIRS = (
    Metric("auc_{score}", "1", HIGHER, "probability that a planted pair scores above another"),
    Metric("of_oracle_{score}", FRACTION, HIGHER, "(AUC - 1/2) / (AUC of the oracle - 1/2)"),
    Metric("match", "1", HIGHER, "median correlation of features with their matched latents"),
    Metric("found_{score}", FRACTION, HIGHER, "planted pairs above the threshold of worlds without pairs"),
    Metric("false_{score}", FRACTION, LOWER, "other pairs above it"),
    Metric("captured_(interaction|all)", FRACTION, HIGHER, "planted non-linear variance that is reconstructed"),
    Metric("net_captured_interaction", FRACTION, HIGHER, "the same minus everything else in the part's output"),
    Metric("excess_null", FRACTION, HIGHER, "gain - gain where no pair is planted"),
    Metric("excess_control", FRACTION, HIGHER, "gain - gain of the first-order control"),
    Metric("excess", FRACTION, HIGHER, "excess_control - excess_control where no pair is planted"),
    Metric("alpha", FRACTION, NEITHER, "pairs that may count as found where none is planted"),
)  # fmt: skip
HEALTH = (
    Metric("late_gain", FRACTION, LOWER,
           "share of the validation FVU that the last tenth of a training removes"),
    Metric("lm_gap", "nats", LOWER, "cross-entropy of the testbed's LM - that of the ideal observer"),
)  # fmt: skip
AT_PAPER_SIZES = (
    Metric("total|interaction_mlp", "parameters", NEITHER, "parameters at the paper's sizes"),
    Metric("(interaction_|mlp_)?share_of_nfm|share_(linear|nfm|interaction)", FRACTION, NEITHER,
           "parameters of a part / parameters of the NFM or of the model"),
    Metric("pca_share", FRACTION, NEITHER, "pca_published_share of a Gaussian matrix, by its law"),
    Metric("gini_max|effective_rank_min", "1", NEITHER, "most unequal factor vector at initialisation"),
)  # fmt: skip
INTERACTIONS = (
    Metric("tested_tokens", "tokens", NEITHER, "tokens on which pairs of latents are tested"),
    Metric("tested_documents", "documents", NEITHER, "documents that hold these tokens"),
    Metric("fvu_encoder", FRACTION, LOWER, "FVU with the encoder's own magnitudes"),
    Metric("fvu_refit", FRACTION, LOWER, "FVU of the codes that are tested"),
    Metric("own_terms_share", FRACTION, NEITHER,
           "share of the residual's sum of squares that the latents' own terms explain"),
    Metric("own_terms_gradient", FRACTION, LOWER,
           "gradient that the fit of own terms leaves / the first; above the tolerance, it did not converge"),
    Metric("(firing|joined)_latents", "latents", NEITHER,
           "latents that fire; latents whose code is joined to another's, of a split feature"),
    Metric("reliability_median", FRACTION, HIGHER,
           "median over firing latents of the share of firings that explain more than noise"),
    Metric("(cofiring|tested)_pairs", "pairs", NEITHER,
           "pairs of latents that fire together often enough; those of them that are tested"),
    Metric("tested_triples", "triples", NEITHER, "triples of a latent and two that it may combine"),
    Metric("pairs_[a-z_]+", "pairs", NEITHER, "pairs of this verdict"),
)  # fmt: skip
METRICS = (
    *INTERACTIONS,
    *FIDELITY,
    *CONTRASTS,
    *GEOMETRY,
    *FACTORIAL,
    *PLANTED_PAIRS,
    *HEALTH,
    *AT_PAPER_SIZES,
)
OF_PLANTED_PAIRS = "planted_"
"""Prefix of the quantities about planted pairs."""
LAST = ("factorial", "secondary", "residual", "clamp", "paper")
"""First words of the quantities whose metric is their last word."""
RESPONSE = "value"
"""Last word of the quantities that have the unit of a response."""


@cache
def metric_of(name: str) -> Metric:
    """The metric of this name.

    Raises:
        LookupError: if no metric, or more than one, has it.
    """
    found = [metric for metric in METRICS if _pattern(metric.name).fullmatch(name)]
    if len(found) != 1:
        what = f"belongs to {len(found)} metrics" if found else "is not a metric"
        raise LookupError(
            f"{name!r} {what} of fispace.store.metric_registry; declare it there, once."
        )
    return found[0]


def unit_of(name: str) -> str:
    """Unit of a metric.

    Raises:
        LookupError: if there is no such metric.
    """
    return metric_of(name).unit


def unit_of_quantity(name: str) -> str | None:
    """Unit of a quantity, by its name; None for a response, whose unit depends on the response.

    Raises:
        LookupError: if it has no declared metric.
    """
    first, *rest = name.split(".")
    if first in LAST:
        return None if rest[-1] == RESPONSE else unit_of(rest[-1])
    return unit_of(first.removeprefix(OF_PLANTED_PAIRS))


def with_units(rows: Frame) -> Frame:
    """The table with a column `unit` after its column `metric`.

    Raises:
        LookupError: if a row's metric is not declared.
    """
    found = rows.copy()
    found.insert(rows.columns.get_loc("metric") + 1, "unit", rows["metric"].map(unit_of))
    return found


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Pattern of the names that a metric covers; each slot becomes its alternatives."""
    return re.compile(re.sub(r"\{(\w+)\}", lambda slot: f"({SLOTS[slot[1]]})", name))
