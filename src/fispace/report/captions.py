"""Captions of the figures.

Must not: hold anything but texts.
"""

CAPTIONS = {
    "claims": "Every printed number, ours beside it, and the verdict",
    "pipeline": "The study (paper F1)",
    "architecture": "The integrated model (paper F2)",
    "reconstruction": "Reconstruction by arm and parts, each seed",
    "kl": "KL by condition, with random errors of the same size",
    "controls": "KL of all parts of an arm, and of errors of the same norm that keep less of it",
    "shapley": "What each part contributes, as published and with one decoder",
    "positions": "KL along the window, special tokens masked and included",
    "norms": "Squared norms of the decoder rows (paper F6, F7), with initial norms and firing rates",
    "norm_ratios": "Contribution ratios by norm group (paper F8), with the norm null",
    "ratio_scatter": "Contribution ratios against the squared norm (paper F9), with both nulls",
    "spectrum": "Spectrum of the decoder (paper F5), with its nulls",
    "volcano": "Pairs of latents: how much of the residual their product explains, and how surely",
    "clamping": "Clamping a secondary latent (paper F4)",
    "secondary_activations": "Secondary activations of one primary latent (paper F3)",
    "interaction": "Activations in the four cells of the confirm items: parallel is no interaction",
    "family": "Every declared hypothesis, in units of its equivalence bound",
    "generations": "Response words in continuations under clamps, and texts that a clamp changes",
    "calibration": "False positives and power of the complete procedure (target full)",
    "planted": "Recovery of planted pairs, and gains beside the null and the control (target full)",
    "gain_curve": "Gain over the SAE whose k is cut at test time, and what explains it (target full)",
    "arm_controls": "What the sequential and the joint arm gain over each control (target full)",
    "claims_full": "Every printed number, ours over all arms and seeds, and the verdict (target full)",
    "audit": "Where each weakness alone (W1 to W22, below) moves the headline gains (target full)",
}
