"""An SAE from another tool is an arm like any other: the same codes, the same numbers, clear refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from exchange.by_description import FORWARDS
from exchange.small_arms import (
    D_MODEL,
    MANIFEST,
    N_LATENTS,
    K,
    SmallRun,
    dense,
    raw_tokens,
    units,
)
from fidelity.small_chapter import D_MODEL as LM_WIDTH
from fidelity.small_chapter import extracted, make_poor
from safetensors.torch import load_file, save_file
from train.small_training import PARAMS, SEQUENTIAL, arm_row, run, write_store

from fispace.chapters.geometry.arm import measure_geometry
from fispace.chapters.train.imported import import_arm, imported_model
from fispace.errors import ArtifactError, ArtifactMismatchError, FispaceError, HookPointError
from fispace.exchange.export import origin_of, write_export
from fispace.exchange.places import is_same_place, require_place
from fispace.exchange.reading import read_folder
from fispace.models.trained import Trained, load_trained
from fispace.store.files import sha256_of, write_json
from fispace.store.tables import read_table
from fispace.study.config.geometry import GeometryArmStep

READ = ("saelens", "sparsify")
ONE = ("epsilon_random",)
DATA = {"d_model": D_MODEL, "manifest": "a", "standardiser": "b"}


def exported(own: SmallRun, peer: str, folder: Path) -> Path:
    folder.mkdir()
    write_export(folder, own.trained, units(), peer, origin_of(own.extract, {"run": "small"}))
    return folder


def imported(folder: Path) -> Trained:
    return imported_model(PARAMS, read_folder(folder), units(), "theirs", 0, dict(DATA))


@pytest.fixture
def folder(tmp_path) -> Path:
    return exported(SmallRun(tmp_path, "sae_bias"), "saelens", tmp_path / "theirs")


@pytest.mark.parametrize("peer", READ)
@pytest.mark.parametrize("arm", ["sae", "sae_bias"])
def test_export_and_import_give_the_arm_back(arm, peer, tmp_path):
    own = SmallRun(tmp_path, arm)
    back, before = imported(exported(own, peer, tmp_path / "out")).model, own.model
    for name, weight in before.state_dict().items():
        assert torch.allclose(back.state_dict()[name], weight, atol=1e-6, rtol=1e-6), name
    if arm == "sae":
        assert back.bias.abs().max() < 1e-6
    z = units().standardise(raw_tokens())
    assert torch.equal(back.sae.encode(z).indices, before.sae.encode(z).indices)
    assert torch.allclose(back(z, back.parts), before(z, before.parts), atol=2e-6)


@pytest.mark.parametrize("is_rescaled", [False, True])
@pytest.mark.parametrize("is_subtracted", [False, True])
def test_every_convention_of_saelens_gives_its_codes(is_subtracted, is_rescaled, folder):
    config = json.loads((folder / "cfg.json").read_text())
    config |= {"apply_b_dec_to_input": is_subtracted, "rescale_acts_by_decoder_norm": is_rescaled}
    (folder / "cfg.json").write_text(json.dumps(config))
    x, model = raw_tokens(), imported(folder).model
    theirs = FORWARDS["saelens"](folder, x)
    z = units().standardise(x)
    assert torch.allclose(dense(model.sae.encode(z), N_LATENTS), theirs.codes, atol=1e-4, rtol=1e-4)
    assert torch.allclose(
        units().restore(model(z, model.parts)), theirs.x_hat, atol=1e-4, rtol=1e-4
    )


def test_sizes_are_the_folders_not_the_studys(folder):
    record = imported(folder).record
    assert (record.params.n_latents, record.params.k) == (N_LATENTS, K)
    assert (PARAMS.n_latents, PARAMS.k) != (N_LATENTS, K)


def test_half_precision_weights_are_read(folder):
    path = folder / "sae_weights.safetensors"
    save_file({name: w.bfloat16() for name, w in load_file(path).items()}, path)
    assert imported(folder).model.sae.W_enc.dtype == torch.float32


def test_sparsify_may_give_a_multiple_of_the_width(tmp_path):
    own = SmallRun(tmp_path, "sae")
    folder = exported(own, "sparsify", tmp_path / "out")
    path = folder / "sae.safetensors"
    n = 2 * D_MODEL
    tensors = {k: w[:n].clone() if k != "b_dec" else w for k, w in load_file(path).items()}
    save_file(tensors, path)
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | {"num_latents": 0, "expansion_factor": 2}))
    assert imported(folder).model.config.n_latents == n


@pytest.fixture(scope="module")
def chapter(tmp_path_factory, lm_folders):
    """A small study of a random LM, with an own arm and the same arm imported."""
    made = extracted(tmp_path_factory.mktemp("chapter"), lm_folders["llama"])
    own = made.save_model("mine", ["sae", "bias"], make_poor)
    out = made.folder / "theirs"
    out.mkdir()
    manifest, standardiser = made.inputs["manifest"], made.inputs["standardiser"]
    record = {"arm": "mine", "seed": 0}
    from fispace.store.standardiser import load_standardiser

    trained, scale = load_trained(own, record), load_standardiser(standardiser)
    write_export(out, trained, scale, "saelens", origin_of(made.folder / "extract", {}))
    weights = made.folder / "theirs.safetensors"
    import_arm(
        PARAMS, arm="theirs", seed=0, folder=out, manifest=manifest, standardiser=standardiser,
        weights=weights,
    )  # fmt: skip
    return made, own, weights


def test_fidelity_of_an_imported_arm_is_that_of_the_arm_itself(chapter):
    made, own, weights = chapter
    mine, theirs = (
        read_table(made.measure(name, path, matched_errors=ONE, epsilon_draws=1)["documents"])
        for name, path in (("mine", own), ("theirs", weights))
    )
    assert len(mine) == len(theirs)
    numbers = mine.select_dtypes("number").columns
    np.testing.assert_allclose(mine[numbers], theirs[numbers], rtol=1e-4, atol=1e-4)
    assert set(theirs["arm"]) - {""} == {"theirs"}


def test_geometry_measures_an_imported_arm(chapter):
    made, _, weights = chapter
    out = {name: made.folder / f"geometry.{name}" for name in ("latents", "spectrum", "table")}
    params = GeometryArmStep(
        group_threshold=0.2, spectrum_first_share=0.5, spectrum_target=0.9, gram_pairs=500,
        top_share=0.125, functional_latents=8, batch_tokens=50, n_published_batches=2, root_seed=0,
        threads=1, device="cpu",
    )  # fmt: skip
    inputs = {key: made.inputs[key] for key in ("manifest", "standardiser")}
    measure_geometry(params, arm="theirs", seed=0, weights=weights, **inputs, **out)
    latents: pd.DataFrame = read_table(out["latents"])
    assert len(latents) == 2 * LM_WIDTH and (latents["firings"] > 0).any()


def test_the_sequential_arm_trains_on_an_imported_sae_of_any_size(tmp_path):
    store = write_store(tmp_path)
    place = {"hook_point": 3, "hook_path": "model.layers.3"}
    manifest = json.loads((store / "manifest.json").read_text()) | place
    write_json(store / "manifest.json", manifest)
    folder = store / "theirs"
    folder.mkdir()
    stream = torch.Generator().manual_seed(0)
    W_dec = torch.randn(20, 8, generator=stream)
    save_file({"encoder.weight": W_dec.clone(), "encoder.bias": torch.zeros(20), "W_dec": W_dec,
               "b_dec": torch.zeros(8)}, folder / "sae.safetensors")  # fmt: skip
    write_json(folder / "cfg.json", {"activation": "topk", "d_in": 8, "num_latents": 20, "k": 3})
    weights = store / "imported.safetensors"
    import_arm(
        PARAMS, arm="theirs", seed=0, folder=folder, manifest=store / "manifest.json",
        standardiser=store / "standardiser.safetensors", weights=weights,
    )  # fmt: skip
    row = SEQUENTIAL | {"frozen_sae_from": "theirs"}
    params = PARAMS.changed(select_by="contribution", n_tokens=64 * 5)
    trained = load_trained(run(store, "sequential", row, params=params, frozen=weights), {})
    sae, own = trained.model.sae, load_trained(weights, {}).model.sae
    assert (trained.record.params.n_latents, sae.k, sae.scale) == (20, 3, None)
    assert all(torch.equal(a, b) for a, b in zip(sae.parameters(), own.parameters(), strict=True))
    bias_only = run(store, "b", arm_row(["sae", "bias"], frozen_sae_from="theirs"), frozen=weights)
    assert load_trained(bias_only, {}).model.config.n_latents == 20


@pytest.mark.parametrize(
    ("hook_name", "fits"),
    [("blocks.3.hook_resid_post", True), ("blocks.4.hook_resid_pre", True), ("model.layers.3", True),
     ("layers.3", True), ("blocks.3.hook_resid_pre", False), ("blocks.4.hook_resid_post", False),
     ("blocks.3.hook_mlp_out", False), ("model.layers.33", False), ("ayers.3", False), ("3", True),
     ("blocks.3.hook_out", True), ("blocks.4.hook_in", True), ("blocks.3.hook_in", False),
     ("blocks.3.mlp.hook_out", False)],
)  # fmt: skip
def test_a_hook_point_has_a_name_in_each_tool(hook_name, fits):
    assert is_same_place(hook_name, MANIFEST) == fits
    assert is_same_place(hook_name, MANIFEST | {"hook_point": "model.layers.3"}) == fits


@pytest.mark.parametrize("place", ["layers.3", "layers.3/seed0", "layers.3/seed12"])
def test_sparsifys_folder_names_the_hook_point_with_one_seed_or_several(place, tmp_path):
    folder = tmp_path / place
    folder.parent.mkdir(parents=True, exist_ok=True)
    exported(SmallRun(tmp_path, "sae"), "sparsify", folder)
    changed_config(folder, fispace=...)
    assert read_folder(folder).hook_name == "layers.3"


def changed_config(folder: Path, **values: object) -> None:
    path = folder / "cfg.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def changed_weights(folder: Path, **tensors: torch.Tensor | None) -> None:
    path = folder / "sae_weights.safetensors"
    found = load_file(path) | tensors
    save_file({name: w for name, w in found.items() if w is not None}, path)


DAMAGED = {
    "no folder": (lambda f: f.rename(f.with_name("gone")), "does not exist"),
    "no weights": (lambda f: (f / "sae_weights.safetensors").unlink(), "no SAE that can be read"),
    "no configuration": (lambda f: (f / "cfg.json").unlink(), "cfg.json does not exist"),
    "a configuration cut short": (lambda f: (f / "cfg.json").write_text('{"a'), "not readable as JSON"),
    "a configuration that is a list": (lambda f: (f / "cfg.json").write_text("[]"), "JSON object"),
    "weights cut short": (
        lambda f: (f / "sae_weights.safetensors").write_bytes(
            (f / "sae_weights.safetensors").read_bytes()[:-10]), "not readable as safetensors"),
    "an empty weights file": (lambda f: (f / "sae_weights.safetensors").write_bytes(b""), "safetensors"),
    "no k": (lambda f: changed_config(f, k=...), "the key 'k' is missing"),
    "no width": (lambda f: changed_config(f, d_in=...), "the key 'd_in' is missing"),
    "no architecture": (lambda f: changed_config(f, architecture=...), "'architecture' is missing"),
    "another architecture": (lambda f: changed_config(f, architecture="jumprelu"), "only TopK"),
    "normalised activations": (
        lambda f: changed_config(f, normalize_activations="layer_norm"), "rescales each token"),
    "a k of all sizes": (lambda f: changed_config(f, k=1000), "k is 1000, but there are only 40"),
    "a k that is no number": (lambda f: changed_config(f, k=True), "expected a whole number"),
    "another size than the weights": (lambda f: changed_config(f, d_sae=41), "do not belong together"),
    "another width than the weights": (lambda f: changed_config(f, d_in=7), "do not belong together"),
    "a flag that is none": (lambda f: changed_config(f, apply_b_dec_to_input=1), "true or false"),
    "a tensor more": (lambda f: changed_weights(f, threshold=torch.ones(3)), "threshold not known"),
    "a tensor less": (lambda f: changed_weights(f, b_enc=None), "b_enc missing"),
    "a matrix for a vector": (lambda f: changed_weights(f, b_dec=torch.ones(2, 2)), "another size"),
    "a vector for a matrix": (lambda f: changed_weights(f, W_enc=torch.ones(3)), "another size"),
    "NaN": (lambda f: changed_weights(f, b_enc=torch.full((N_LATENTS,), torch.nan)), "not finite numbers"),
    "whole numbers": (lambda f: changed_weights(f, b_enc=torch.ones(N_LATENTS).int()), "finite numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_folder_that_is_no_whole_topk_sae_is_refused_in_one_paragraph(case, folder):
    damage, said = DAMAGED[case]
    damage(folder)
    with pytest.raises(ArtifactError, match=said) as refused:
        read_folder(folder)
    assert "theirs" in str(refused.value) and "\n" not in str(refused.value)


def test_a_pickle_is_named_and_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "opened",))

    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    torch.save({"encoder.weight": Bomb()}, folder / "ae.pt")
    with pytest.raises(ArtifactError, match=r"never read here\. Load the SAE in SAELens"):
        read_folder(folder)
    assert not (tmp_path / "opened").exists()


PLACED = {
    "width": ({"d_model": 99}, ArtifactMismatchError, "12 dimensions, but .* have 99"),
    "hook point": (
        {"hook_point": 2, "hook_path": "model.layers.2"}, HookPointError, "lm.hook_point=2"),
    "language model": (
        {"model": {"model.safetensors": "zz", "config.json": "bb"}}, ArtifactMismatchError,
        "another language model"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACED)
def test_an_sae_of_other_activations_is_refused(case, folder):
    changed, kind, said = PLACED[case]
    foreign = read_folder(folder)
    require_place(foreign, MANIFEST, "theirs")
    with pytest.raises(kind, match=said):
        require_place(foreign, MANIFEST | changed, "theirs")


def test_a_refused_import_writes_nothing(folder, tmp_path):
    run_folder = tmp_path / "results/small/extract"
    write_json(run_folder / "manifest.json", MANIFEST | {"d_model": 99})
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(FispaceError):
        import_arm(
            PARAMS, arm="theirs", seed=0, folder=folder, manifest=run_folder / "manifest.json",
            standardiser=run_folder / "standardiser.safetensors", weights=weights,
        )  # fmt: skip
    assert not weights.exists()


def test_the_record_says_where_an_arm_comes_from_and_no_place_on_this_machine(chapter):
    made, _, weights = chapter
    record = load_trained(weights, {}).record.plain()
    assert record["peer"] == "saelens" and record["hook_name"] == "model.layers.1"
    assert record["manifest"] == sha256_of(made.inputs["manifest"])
    assert str(made.folder) not in json.dumps(record)
