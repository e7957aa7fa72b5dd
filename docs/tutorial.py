"""A small study on your own data: python docs/tutorial.py MODEL HOOK_POINT TEXT ITEMS.csv OUT."""

import sys
from functools import partial
from pathlib import Path

import pandas as pd

import fispace

model, hook_point, text, items, out = sys.argv[1:]
lm = fispace.load_lm(model, int(hook_point))
x = fispace.activations(lm, Path(text), window_tokens=64)

# an SAE, and linear part, bias and interaction trained on its frozen codes
train = partial(fispace.train, x, n_latents=8 * x.d_model, k=x.d_model // 4, batch_tokens=256)
sae = train(parts=["sae", "bias"], name="sae_bias")
whole = train(frozen=sae, name="sequential")
linear = train(parts=["sae", "linear", "bias"], frozen=sae, name="linear")
for arm in (sae, linear, whole):
    print(f"{arm.name}: FVU {arm.fvu(x):.3f} on test documents")

# what the language model loses, beside an error of the same size in a random direction
table = fispace.fidelity(lm, whole, x, n_bootstrap=200)
kl = table[(table["metric"] == "kl") & (table["special_tokens"] == "masked")]
print(kl[["parts", "condition", "value", "low", "high"]].to_string(index=False))

# which latents respond to the conjunction of two factors, and what one of them does
battery = pd.read_csv(items, dtype=str, keep_default_na=False)
factors = {str(name): sorted(set(battery[name])) for name in battery.drop(columns=["item", "text"])}
tests = fispace.test_2x2(lm, sae, battery, factors)
found = tests[tests["effect"] == "interaction"]
print(found[["latent", "estimate", "p_sign_flip", "p_max"]].head().to_string(index=False))
latent, prompt = int(found["latent"].iloc[0]), battery["text"].iloc[0]
for amount in (0.0, 1.0, 5.0):
    said = fispace.generate(lm, [prompt], n_tokens=8, arm=sae, latent=latent, amount=amount)
    print(f"latent {latent} x {amount:g}: {said[0]}")

fispace.export_sae(sae, out, "saelens", x)
print(f"read back from {out}: FVU {fispace.import_sae(out, x).fvu(x):.3f}")
