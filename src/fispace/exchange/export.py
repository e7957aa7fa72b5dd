"""`fispace export`: an arm of a finished run as a folder that another tool loads.

Must not: read another tool's file, or write a folder in part.
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fispace.errors import ArtifactError, ParamsError
from fispace.exchange.card import SIDECAR, SIDECAR_NOTE, Exported, card_of, interaction_note
from fispace.exchange.folding import RawSae, decoders_of, folded, folded_interaction
from fispace.exchange.peers import CONFIGS, PEERS, WEIGHTS, Origin, Peer, config_for, tensors_for
from fispace.models.integrated import IntegratedModel
from fispace.models.trained import Trained, load_trained
from fispace.provenance.records import RESULTS, is_result, records_in
from fispace.provenance.verify import run_folder
from fispace.store.checkpoint import data_record
from fispace.store.files import read_json, write_json, write_text
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tensors import save_tensors
from fispace.study.config.parts import Part
from fispace.study.step import tool

log = logging.getLogger(__name__)

ONLY_SAE = "sae"
DECODERS = ("folded", ONLY_SAE)
CARD = "README.md"


@tool("export")
def export_arm(
    run: str, arm: str, seed: int, out: Path, /, *, to: str, decoder: str | None
) -> None:
    """Write an arm of a run to the new folder OUT, in another tool's format.

    `--to` is `saelens`, `sparsify` or `dictionary_learning`. The standardiser is folded in: the exported SAE
    reads and writes activations as the language model computes them. OUT also holds a model card, and the
    interaction part as a file of its own if the arm has one. `--decoder folded` (the default) sums the
    decoder and the linear part; `--decoder sae` leaves the linear part out.

    Raises:
        ParamsError: if there is no such run, arm or format, OUT exists or lies in results/, or the format
            cannot hold the arm.
        ArtifactError: if the run's files are missing, damaged, or do not belong together.
    """
    if to not in PEERS:
        raise ParamsError(f"export --to {to}: expected one of {', '.join(PEERS)}.")
    if decoder not in (None, *DECODERS):
        raise ParamsError(f"export --decoder {decoder}: expected one of {', '.join(DECODERS)}.")
    require_new(out)
    folder = run_folder(run)
    trained, units = arm_of_run(folder, arm, seed)
    origin = origin_of(folder / "extract", {"run": run, "arm": arm, "seed": seed})
    with new_folder(out) as partial:
        write_export(partial, trained, units, to, origin, decoder == ONLY_SAE)
    log.info("%s: arm %s, seed %d, for %s. Read %s first.", out, arm, seed, to, out / CARD)


def write_export(
    folder: Path, trained: Trained, units: Standardiser, peer: Peer, origin: Origin,
    only_sae: bool = False,
) -> None:  # fmt: skip
    """Write all files of an export into an existing folder.

    Raises:
        ParamsError: if the format cannot hold the arm.
    """
    model, record = trained.model, trained.record
    decoders = _decoders(model, only_sae)
    sae = folded(model, units, decoders)
    _write_sae(folder, peer, sae, origin)
    what = Exported(
        run=str(origin.own.get("run", "")), arm=record.arm, seed=record.seed, parts=model.parts,
        decoders=decoders, pooling=model.pooling, n_latents=model.config.n_latents, k=sae.k,
        d_model=model.d_model, is_by_contribution=model.config.select_by == "contribution",
        is_bfloat16=model.config.topk_dtype == "bfloat16",
    )  # fmt: skip
    if what.pooling is not None:
        note = interaction_note(what.pooling)
        part = folded_interaction(model, units)._asdict()
        tensors = {name: values.float() for name, values in part.items()}
        save_tensors(folder / SIDECAR, tensors, note)
        write_json(folder / SIDECAR_NOTE, note)
    write_text(folder / CARD, card_of(what, peer, origin))


def origin_of(extract: Path, own: dict[str, Any]) -> Origin:
    """Origin of the arms of a run, from the folder of its extraction.

    Raises:
        ArtifactError: if the manifest is missing or damaged.
    """
    manifest = read_json(extract / "manifest.json")
    try:
        hook_point, hook_path = manifest["hook_point"], manifest["hook_path"]
        window, add_bos, model = manifest["window_tokens"], manifest["add_bos"], manifest["model"]
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{extract / 'manifest.json'} is not the manifest of an extraction ({error!r})."
        ) from None
    params: dict[str, Any] = {}
    for record in records_in(extract):
        params = (record.params or {}) if record.command == "extract activations" else params
    text = params.get("text") or {}
    noted = {
        "version": version("fispace"), "model": model, "hook_point": hook_point, "hook_path": hook_path,
    }  # fmt: skip
    return Origin(
        model_name=(params.get("lm") or {}).get("name"), hook_point=hook_point, hook_path=hook_path,
        dataset=text.get("path"), context_size=window, prepend_bos=add_bos, own=own | noted,
    )  # fmt: skip


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`; it becomes `out` if the block succeeds, and is deleted if it fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=".partial-"))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_new(out: Path) -> None:
    """Refuse a folder that exists, or that lies below the results.

    Raises:
        ParamsError: if it does.
    """
    if out.exists() or out.is_symlink():
        raise ParamsError(
            f"{out} exists already. Give a folder that does not, or move that one away."
        )
    if is_result(out):
        raise ParamsError(
            f"{out} lies in {RESULTS}/, which holds only what the workflow makes. Give a folder "
            "outside it."
        )


def arm_of_run(folder: Path, arm: str, seed: int) -> tuple[Trained, Standardiser]:
    """A trained arm of a run, which must belong to the run's activations, and their standardiser.

    Raises:
        ParamsError: if there is no such arm and seed; the message lists them.
        ArtifactError: if its files are damaged, or do not belong together.
    """
    manifest, standardiser = (
        folder / "extract" / name for name in ("manifest.json", "standardiser.safetensors")
    )
    weights = folder / "train" / arm / f"seed{seed}.safetensors"
    if Path(arm).name != arm or not weights.is_file():
        places = sorted((folder / "train").glob("*/seed*.safetensors"))
        known = [f"{path.parent.name} {path.stem.removeprefix('seed')}" for path in places]
        raise ParamsError(
            f"{folder} has no arm {arm!r} with seed {seed}. It has, as arm and seed: "
            f"{', '.join(known) or 'none; run the target `train` first'}."
        )
    expected = {"arm": arm, "seed": seed} | data_record(manifest, standardiser)
    return load_trained(weights, expected), load_standardiser(standardiser)


def _decoders(model: IntegratedModel, only_sae: bool) -> tuple[Part, ...]:
    if "residual_sae" in model.parts:
        raise ParamsError(
            "The arm has the part residual_sae, a second SAE with codes of its own. The formats "
            "hold one SAE with one k. Export the arm whose SAE it copies."
        )
    return ("sae",) if only_sae else decoders_of(model)


def _write_sae(folder: Path, peer: Peer, sae: RawSae, origin: Origin) -> None:
    tensors = tensors_for(peer, sae)
    if peer == "dictionary_learning":
        torch.save(tensors, folder / WEIGHTS[peer])  # plain tensors; nothing here reads it back
    else:
        save_tensors(folder / WEIGHTS[peer], tensors, origin.own)
    write_json(folder / CONFIGS[peer], config_for(peer, sae, origin))
