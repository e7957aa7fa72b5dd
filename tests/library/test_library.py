"""The public library gives what the steps of the study give, and says what is wrong with an argument."""

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from library.conftest import HOOK_POINT, sentences

import fispace
from fispace.chapters.fidelity.document_sums import METRIC_SUMS
from fispace.errors import (
    ArtifactError,
    ArtifactMismatchError,
    CorpusError,
    FispaceError,
    HookPointError,
    ModelError,
    NonFiniteError,
    ParamsError,
    StimuliError,
)
from fispace.library.activations import stored
from fispace.library.arms import TRAINING
from fispace.library.given import given_items, given_texts
from fispace.lm.hooks import read_activations

ROOT = Path(__file__).parents[2]


def test_importing_the_package_takes_no_time_and_loads_nothing():
    said = subprocess.run(
        [sys.executable, "-c", "import time; t = time.perf_counter(); import fispace, sys;"
         "print(time.perf_counter() - t, 'torch' in sys.modules, 'numpy' in sys.modules)"],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")},
    ).stdout.split()  # fmt: skip
    assert float(said[0]) < 0.05 and said[1:] == ["False", "False"]


def test_every_public_name_is_typed_documented_and_there():
    stub = (ROOT / "src/fispace/__init__.pyi").read_text()
    for name, module in fispace.PUBLIC.items():
        assert f"from fispace.library.{module} import {name} as {name}\n" in stub
        assert name in dir(fispace) and getattr(fispace, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fispace.nothing


def test_what_is_not_given_to_train_is_as_in_params_yaml():
    study = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
    # a single arm is not tuned
    assert {name: study[name] for name in TRAINING} | {"tuned": False} == TRAINING


def test_activations_are_those_of_the_hook_point_and_no_document_is_in_two_splits(lm, x):
    tokens = {split: x.tokens(split) for split in ("train", "val", "test")}
    documents = [set(frame["document_id"]) for frame in tokens.values()]
    assert sum(map(len, documents)) == len(set.union(*documents)) == 60
    first = tokens["test"][tokens["test"]["document_id"] == tokens["test"]["document_id"].iloc[0]]
    window = first[first["window_id"] == 0]
    ids = torch.tensor([[lm.tokenizer.bos_token_id, *window["token_id"]]])
    expected = read_activations(lm.model, HOOK_POINT, ids, torch.ones_like(ids))[0, 1:]
    found = x.array("test")[: len(window)]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_codes_and_reconstruction_are_those_of_the_formulas(x, sae):
    rows = x.array("test")
    z = (rows - x.units.mean.numpy()) / x.units.std.numpy()
    model = sae.trained.model
    codes = sae.codes(rows).toarray()
    pre_acts = z @ model.sae.W_enc.numpy().T + model.sae.b_enc.numpy()
    kept = np.sort(pre_acts, axis=1)[:, [-sae.k]]
    np.testing.assert_allclose(codes, np.where(pre_acts >= kept, pre_acts.clip(0), 0), atol=1e-5)
    z_hat = codes @ model.sae.W_dec.numpy() + model.bias.numpy()
    x_hat = z_hat * x.units.std.numpy() + x.units.mean.numpy()
    np.testing.assert_allclose(sae.reconstruct(rows), x_hat, atol=1e-4)
    fvu = ((z - z_hat) ** 2).sum() / ((z - z.mean(0)) ** 2).sum()
    assert sae.fvu(rows) == pytest.approx(fvu, rel=1e-4) == sae.fvu(x)
    assert sae.fvu(rows) < sae.fvu(rows, ["sae"]) + 1e-9 or "bias" in sae.parts


def test_the_frozen_sae_gives_the_same_codes_in_an_arm_over_it(x, sae):
    whole = fispace.train(
        x,
        n_latents=48,
        k=6,
        frozen=sae,
        name="sequential",
        batch_tokens=64,
        n_tokens=640,
        d_embed=4,
    )
    assert whole.parts == ("sae", "linear", "bias", "interaction")
    assert (sae.codes(x) != whole.codes(x)).nnz == 0


def test_equal_seeds_give_equal_arms_and_an_array_trains_as_well(x):
    rows = x.array()
    sizes = {"n_latents": 20, "k": 3, "batch_tokens": 32, "n_tokens": 320, "parts": ["sae"]}
    arms = [fispace.train(rows, seed=seed, **sizes) for seed in (0, 0, 1)]
    first, again, other = (arm.trained.model.sae.W_dec for arm in arms)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert arms[0].reconstruct(rows).shape == rows.shape


def test_fidelity_measures_the_arm_its_controls_and_the_references(lm, x, sae):
    table = fispace.fidelity(lm, sae, x, n_bootstrap=20)
    assert {"fvu", "kl", "ce", "excess_ce", "l0"} <= set(table["metric"]) <= {*METRIC_SUMS} | {
        "dead_fraction", "dead_fraction_window"
    }  # fmt: skip
    masked = table[table["special_tokens"] == "masked"]
    value = masked.set_index(["parts", "condition", "metric"])["value"]
    assert value["sae+bias", "reconstruction", "fvu"] == pytest.approx(sae.fvu(x), rel=1e-5)
    assert value["sae+bias", "reconstruction", "kl"] > 0 < value["sae+bias", "epsilon_random", "kl"]
    assert {"original", "zero_ablation", "mean_ablation"} <= set(table["condition"])


def test_a_latent_times_one_changes_nothing_and_times_zero_removes_its_row(x, sae):
    rows = torch.from_numpy(x.array("test"))
    latent = int(np.asarray(sae.codes(rows).sum(0)).argmax())
    assert torch.equal(sae.moved(rows, latent, 1.0, "multiply"), rows)
    step = sae.moved(rows, latent, 0.0, "multiply") - rows
    own = sae.codes(rows)[:, [latent]].toarray() * sae.trained.model.sae.W_dec[latent].numpy()
    np.testing.assert_allclose(step.numpy(), -own * x.units.std.numpy(), atol=1e-4)


def test_clamped_continuations_differ_and_unmoved_ones_are_the_models(lm, x, sae):
    prompts = sentences(3, seed=5)
    plain = fispace.generate(lm, prompts, n_tokens=6)
    latent = int(np.asarray(sae.codes(x).sum(0)).argmax())
    own = {"arm": sae, "latent": latent, "n_tokens": 6}
    assert fispace.generate(lm, prompts, amount=1.0, **own) == plain
    assert fispace.generate(lm, prompts, amount=50.0, mode="set", **own) != plain
    warm = [fispace.generate(lm, prompts, n_tokens=6, temperature=2.0, seed=s) for s in (0, 0, 1)]
    assert warm[0] == warm[1] != warm[2]


def battery(n_items: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for item in range(n_items):
        words = " ".join(f"w{i}" for i in rng.integers(4, 60, 5))
        rows += [
            {"item": f"i{item}", "size": size, "mood": mood, "text": f"{words} w{s} w{2 + m}"}
            for s, size in enumerate(("small", "large"))
            for m, mood in enumerate(("calm", "angry"))
        ]
    return pd.DataFrame(rows)


FACTORS = {"size": ["small", "large"], "mood": ["calm", "angry"]}


def test_the_2x2_test_is_the_contrast_of_mean_activations(lm, sae):
    items = battery()
    table = fispace.test_2x2(lm, sae, items, FACTORS, n_permutations=256)
    assert set(table["effect"]) == {"size", "mood", "interaction"}
    latent = int(table[table["mean_activation"] > 0]["latent"].iloc[0])
    means = []
    for text in items["text"]:
        ids = torch.tensor([lm.tokenizer("<bos> " + text, add_special_tokens=False)["input_ids"]])
        rows = read_activations(lm.model, HOOK_POINT, ids, torch.ones_like(ids))[0, 1:]
        means.append(sae.codes(rows).toarray()[:, latent].mean())
    y = np.array(means).reshape(-1, 4)
    expected = (y[:, 3] - y[:, 2] - y[:, 1] + y[:, 0]).mean()
    own = table[(table["effect"] == "interaction") & (table["latent"] == latent)]
    assert own["estimate"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["NA", "null", "None", "nan"])
def test_an_item_may_be_named_like_a_missing_value(name, lm, sae):
    items, own = battery(), {"n_permutations": 256}
    renamed = items.assign(item=items["item"].replace("i7", name))
    read = pd.read_csv(io.StringIO(renamed.to_csv(index=False)), dtype=str, keep_default_na=False)
    moved = read.sort_values("item", key=lambda c: c.replace(name, "i7"), kind="stable")
    assert set(fispace.test_2x2(lm, sae, moved, FACTORS, **own)["n_items"]) == {8}
    expected = fispace.test_2x2(lm, sae, items, FACTORS, **own).set_index(["effect", "latent"])
    found = fispace.test_2x2(lm, sae, moved, FACTORS, **own).set_index(["effect", "latent"])
    pd.testing.assert_series_equal(
        found["estimate"].sort_index(), expected["estimate"].sort_index()
    )


@pytest.mark.parametrize("value", [None, math.nan, pd.NA, "", " ", 1.5, True, ["a"], "cut \ud83d"])
@pytest.mark.parametrize("column", ["item", "size", "mood", "text"])
def test_a_cell_without_a_text_is_refused_with_row_and_column(value, column, lm, sae):
    items = battery().astype(object)
    items.at[5, column] = value
    with pytest.raises(StimuliError) as refused:
        fispace.test_2x2(lm, sae, items, FACTORS)
    said = str(refused.value)
    assert "Row 5 of the items (counted from 0)" in said and repr(column) in said
    said.encode()


@pytest.mark.parametrize("to", ["saelens", "sparsify"])
def test_an_arm_comes_back_from_another_tools_folder(to, x, sae, tmp_path):
    fispace.export_sae(sae, tmp_path / "out", to, x)
    back = fispace.import_sae(tmp_path / "out", x)
    np.testing.assert_allclose(back.reconstruct(x), sae.reconstruct(x), atol=1e-4)
    assert (back.k, back.n_latents) == (sae.k, sae.n_latents)


def test_a_saved_arm_is_the_same_arm(x, sae, tmp_path):
    sae.save(tmp_path / "arm")
    back = fispace.load_arm(tmp_path / "arm")
    assert np.array_equal(back.reconstruct(x), sae.reconstruct(x)) and back.name == sae.name


def test_activations_in_a_folder_open_again(lm, tmp_path):
    fispace.activations(lm, sentences(30), folder=tmp_path / "x", **SHORT)
    again = fispace.Activations(tmp_path / "x")
    assert again.d_model == 16 and len(again.array("val"))


SHORT = {"window_tokens": 16, "min_window_tokens": 4}
REFUSED = {
    "no such model": (lambda _: fispace.load_lm("./nowhere", 0), ModelError, "does not exist"),
    "no such block": (lambda c: fispace.load_lm(c["folder"], 9), HookPointError, "3 blocks"),
    "a text for texts": (lambda c: fispace.activations(c["lm"], "w1 w2"), CorpusError, "list of documents"),
    "no texts": (lambda c: fispace.activations(c["lm"], [], **SHORT), CorpusError, "texts is empty"),
    "a blank text": (
        lambda c: fispace.activations(c["lm"], ["w1", " "]), CorpusError, r"texts\[1\] is an empty text"),
    "half a character in a text": (
        lambda c: fispace.activations(c["lm"], ["cut \ud83d here"] * 30),
        CorpusError, r"texts\[0\]: character 5"),
    "a prompt for prompts": (
        lambda c: fispace.generate(c["lm"], "w1 w2"), CorpusError, r"list of .*'w1 w2'\. Put a single"),
    "no prompts": (lambda c: fispace.generate(c["lm"], []), CorpusError, "prompts is empty"),
    "half a character in a prompt": (
        lambda c: fispace.generate(c["lm"], ["w1", "\udc00"]), CorpusError, r"prompts\[1\]: character 1"),
    "a prompt without a token": (
        lambda c: fispace.generate(c["lm"], ["w1", ""], add_bos=False),
        CorpusError, r"prompts\[1\] has no token"),
    "a prompt that is not a text": (
        lambda _: given_texts(["w1", None], "prompts"),
        CorpusError, r"prompts\[1\] must be a string and is None"),
    "a number for texts": (lambda _: given_texts(3, "texts"), CorpusError, "must be a list .* and are 3"),
    "no such file": (
        lambda c: fispace.activations(c["lm"], Path("no.txt"), **SHORT), CorpusError, "does not exist"),
    "an unknown suffix": (lambda c: fispace.activations(c["lm"], Path("a.pdf")), CorpusError, "suffix"),
    "a folder that exists": (
        lambda c: fispace.activations(c["lm"], ["w1"], folder=c["tmp"]), ParamsError, "exists already"),
    "windows longer than the model": (
        lambda c: fispace.activations(c["lm"], sentences(30), window_tokens=500), ModelError, "500"),
    "a vector": (lambda _: stored(np.ones(5)), ParamsError, "one row per token"),
    "NaN": (lambda _: stored(np.full((9, 2), np.nan)), NonFiniteError, "not finite"),
    "an unknown option": (
        lambda c: fispace.train(c["x"], n_latents=4, k=1, epochs=3), ParamsError, "epochs: unknown"),
    "k of more than the latents": (lambda c: fispace.train(c["x"], n_latents=4, k=9), ParamsError, "k=9"),
    "no SAE among the parts": (
        lambda c: fispace.train(c["x"], n_latents=4, k=1, parts=["bias"]), ParamsError, "must hold 'sae'"),
    "a frozen SAE of another seed": (
        lambda c: fispace.train(c["x"], n_latents=48, k=6, frozen=c["sae"], seed=1, batch_tokens=64),
        ArtifactMismatchError, "seed"),
    "an arm of other activations": (
        lambda c: fispace.fidelity(c["lm"], fispace.train(
            c["x"].array(), n_latents=4, k=1, batch_tokens=8, n_tokens=8, parts=["sae"]), c["x"]),
        ArtifactMismatchError, "other activations"),
    "a latent without an arm": (
        lambda c: fispace.generate(c["lm"], ["w1"], latent=3), ParamsError, "together"),
    "no such latent": (
        lambda c: fispace.generate(c["lm"], ["w1"], arm=c["sae"], latent=48), ParamsError, "0 to 47"),
    "items without a column": (
        lambda c: fispace.test_2x2(c["lm"], c["sae"], battery().drop(columns="mood"), FACTORS),
        StimuliError, "no column 'mood'"),
    "an item without a cell": (
        lambda c: fispace.test_2x2(c["lm"], c["sae"], battery().iloc[1:], FACTORS),
        StimuliError, "i0"),
    "an item's level that is not declared": (
        lambda c: fispace.test_2x2(c["lm"], c["sae"], battery().replace("calm", "Calm"), FACTORS),
        StimuliError, "Row 0 of the items .*'Calm' of 'mood' is unknown; declared are 'calm' and 'angry'"),
    "items without a row": (
        lambda c: fispace.test_2x2(c["lm"], c["sae"], battery()[:0], FACTORS), StimuliError, "no row"),
    "items that are no table": (
        lambda _: given_items(battery().to_dict(), FACTORS), StimuliError, "data frame"),
    "three levels": (
        lambda c: fispace.test_2x2(c["lm"], c["sae"], battery(), {"size": ["a", "b", "c"], "mood": ["d"]}),
        ParamsError, "two different levels"),
    "a folder that is no run": (lambda c: fispace.open(c["tmp"]), ArtifactError, "not the folder of a run"),
    "a folder that is no arm": (lambda c: fispace.load_arm(c["tmp"]), ArtifactError, "does not exist"),
    "a folder that is no SAE": (lambda c: fispace.import_sae(c["tmp"], c["x"]), ArtifactError, "no SAE"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_in_one_paragraph(case, lm, x, sae, lm_folders, tmp_path):
    call, kind, said = REFUSED[case]
    known = {"lm": lm, "x": x, "sae": sae, "folder": lm_folders["llama"], "tmp": tmp_path}
    with pytest.raises(kind, match=said) as refused:
        call(known)
    assert isinstance(refused.value, FispaceError) and "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_extraction_leaves_no_folder(lm, tmp_path):
    with pytest.raises(CorpusError):
        fispace.activations(lm, ["w1 w2"], folder=tmp_path / "x", **SHORT)
    assert list(tmp_path.iterdir()) == []
