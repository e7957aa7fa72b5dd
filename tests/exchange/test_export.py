"""An exported arm is, in the tool that it is exported to, the arm itself on raw activations."""

import json
from pathlib import Path

import pytest
import torch
from exchange.by_description import FORWARDS, interaction
from exchange.small_arms import D_MODEL, N_LATENTS, K, SmallRun, dense, raw_tokens, units
from safetensors.torch import load_file

from fispace.cli import main
from fispace.errors import ParamsError
from fispace.exchange.export import export_arm, new_folder

WHOLE = ("sae", "sae_bias", "joint", "joint_no_linear", "first_order")
FILES = {
    "saelens": {"cfg.json", "sae_weights.safetensors"},
    "sparsify": {"cfg.json", "sae.safetensors"},
    "dictionary_learning": {"config.json", "ae.pt"},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes a run with one arm, and enters its folder."""
    monkeypatch.chdir(tmp_path)
    return lambda arm, **params: SmallRun(tmp_path, arm, **params)


def exported(arm: str, to: str, decoder: str | None = None) -> Path:
    out = Path("out")
    export_arm("small", arm, 0, out, to=to, decoder=decoder)
    return out


@pytest.mark.parametrize("to", FORWARDS)
@pytest.mark.parametrize("arm", WHOLE)
def test_codes_and_reconstruction_of_raw_activations_are_the_arms(arm, to, run):
    own, x = run(arm).model, raw_tokens()
    z = units().standardise(x)
    codes = own.sae.encode(z)
    theirs = FORWARDS[to](exported(arm, to), x)
    parts = [part for part in own.parts if part != "interaction"]
    x_hat = units().restore(own.reconstruct(codes, parts))
    assert torch.allclose(theirs.codes, dense(codes, N_LATENTS), atol=1e-5, rtol=1e-5)
    assert torch.allclose(theirs.x_hat, x_hat, atol=1e-5, rtol=1e-5)
    assert (theirs.codes > 0).sum(1).max() == K


@pytest.mark.parametrize("arm", ["joint", "joint_no_linear", "first_order"])
def test_with_the_sidecar_the_reconstruction_is_the_whole_arms(arm, run):
    own, x = run(arm).model, raw_tokens()
    out = exported(arm, "saelens")
    theirs = FORWARDS["saelens"](out, x)
    x_hat = units().restore(own(units().standardise(x), own.parts))
    assert not torch.allclose(theirs.x_hat, x_hat, atol=1e-2)
    whole = theirs.x_hat + interaction(out, theirs.codes)
    assert torch.allclose(whole, x_hat, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("to", FORWARDS)
def test_selection_by_contribution_picks_the_same_latents_there(to, run):
    own, x = run("joint", select_by="contribution").model, raw_tokens()
    codes = own.sae.encode(units().standardise(x))
    out = exported("joint", to)
    theirs = FORWARDS[to](out, x)
    scaled = dense(codes, N_LATENTS) * own.sae.W_dec.norm(dim=1)
    x_hat = units().restore(own(units().standardise(x), own.parts))
    assert torch.allclose(theirs.codes, scaled, atol=1e-5, rtol=1e-5)
    assert torch.allclose(
        theirs.x_hat + interaction(out, theirs.codes), x_hat, atol=1e-5, rtol=1e-5
    )
    assert "contribution" in (out / "README.md").read_text()


def test_without_the_linear_part_the_decoder_is_the_saes_alone(run):
    own = run("joint").model
    found = load_file(exported("joint", "sparsify", "sae") / "sae.safetensors")["W_dec"]
    assert torch.allclose(found / units().std, own.sae.W_dec, atol=1e-6)


@pytest.mark.parametrize("to", FILES)
@pytest.mark.parametrize("arm", ["sae", "joint"])
def test_the_folder_holds_the_tools_files_the_card_and_the_sidecar(arm, to, run):
    run(arm)
    sidecar = {"interaction.safetensors", "interaction.json"} if arm == "joint" else set()
    out = exported(arm, to)
    assert {path.name for path in out.iterdir()} == FILES[to] | sidecar | {"README.md"}
    card = (out / "README.md").read_text()
    assert "What the format cannot express" in card and "model.layers.3" in card
    assert ("interaction" in card) == (arm == "joint")


def test_equal_runs_give_equal_bytes(run):
    run("joint")
    first = {path.name: path.read_bytes() for path in exported("joint", "saelens").iterdir()}
    export_arm("small", "joint", 0, Path("again"), to="saelens", decoder=None)
    assert first == {path.name: path.read_bytes() for path in Path("again").iterdir()}


def test_saelens_finds_hook_and_window_where_it_looks_for_them(run):
    run("sae")
    config = json.loads((exported("sae", "saelens") / "cfg.json").read_text())
    metadata = config["metadata"]
    assert metadata["sae_lens_version"].startswith("6.")  # without it the whole block is dropped
    assert metadata["hook_name"] == "blocks.3.hook_resid_post"
    assert (metadata["context_size"], metadata["prepend_bos"]) == (64, True)
    assert (config["d_in"], config["d_sae"], config["k"]) == (D_MODEL, N_LATENTS, K)


def test_an_arm_with_two_saes_fits_no_format_and_leaves_nothing(run, tmp_path):
    run("two_saes")
    with pytest.raises(ParamsError, match=r"residual_sae.*one SAE with one k.*Export the arm"):
        exported("two_saes", "saelens")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


REFUSED = {
    "a format that no tool has": (["small", "sae", "0", "out", "--to", "gguf"], "expected one of saelens"),
    "no such run": (["other", "sae", "0", "out", "--to", "saelens"], "there is no such run"),
    "no such arm": (["small", "joint", "0", "out", "--to", "saelens"], "It has, as arm and seed: sae 0"),
    "no such seed": (["small", "sae", "7", "out", "--to", "saelens"], "It has, as arm and seed: sae 0"),
    "an arm that is a path": (["small", "../train/sae", "0", "out", "--to", "saelens"], "has no arm"),
    "a folder that exists": (["small", "sae", "0", "taken", "--to", "saelens"], "exists already"),
    "a link that leads nowhere": (["small", "sae", "0", "link", "--to", "saelens"], "exists already"),
    "a folder of results": (["small", "sae", "0", "results/out", "--to", "saelens"], "outside it"),
    "an unknown decoder": (["small", "sae", "0", "out", "--to", "saelens", "--decoder", "x"], "folded, sae"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_paragraph_and_writes_nothing(case, run, tmp_path, caplog):
    run("sae")
    (tmp_path / "taken").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    arguments, said = REFUSED[case]
    assert main(["export", *arguments]) == 1
    (record,) = caplog.records
    assert said in record.message and "\n" not in record.message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("damaged", ["train/sae/seed0.safetensors", "extract/manifest.json"])
def test_a_damaged_run_is_not_exported(damaged, run, tmp_path):
    run("sae")
    path = tmp_path / "results/small" / damaged
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["export", "small", "sae", "0", "out", "--to", "sparsify"]) == 1
    assert not Path("out").exists() and not list(tmp_path.glob(".partial-*"))


def test_a_checkpoint_of_other_activations_is_not_exported(run, tmp_path):
    run("sae")
    path = tmp_path / "results/small/extract/manifest.json"
    path.write_text(path.read_text().replace("64", "32"))
    assert main(["export", "small", "sae", "0", "out", "--to", "saelens"]) == 1
    assert not Path("out").exists()


def test_a_folder_that_fails_half_way_is_not_there(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as partial:
        (partial / "cfg.json").write_text("{}")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
