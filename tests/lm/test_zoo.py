"""Every number of a text is the same alone, in any batch, in any order, cached or not: over a whole zoo."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from lm.laws import (
    CHECKS,
    HOOK_POINT,
    PROMPTS,
    STRENGTHS,
    of_clamps,
    of_scores,
    of_texts,
    plan_of,
    variants,
)
from lm.zoo import REFUSED, SIZES, ZOO, build

from fispace.errors import ModelError
from fispace.lm import batching, cached
from fispace.lm.anatomy import anatomy_of
from fispace.lm.hooks import logits, resolve_hook_point
from fispace.lm.intervention_scoring import Moves, score_checked, score_moved
from fispace.lm.load import self_test

MOST = 1e-5
"""Nats, or standard deviations of an activation, in float32."""


@cache
def model_of(name: str) -> Any:
    return build(ZOO[name])


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", ZOO)
def test_the_self_test_finds_the_blocks_and_takes_less_than_two_seconds(name):
    started = time.process_time()
    self_test(model_of(name), HOOK_POINT)
    assert time.process_time() - started < 2
    parts = anatomy_of(model_of(name))
    assert (parts.blocks_path, parts.n_blocks) == (ZOO[name].blocks, 2)
    assert parts.outputs[f"{parts.blocks_path}.0"].width == SIZES["hidden_size"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ZOO)
def test_no_number_depends_on_what_it_is_computed_with(name, check):
    assert CHECKS[check](model_of(name)) <= MOST


def test_the_page_on_robustness_shows_every_architecture_within_the_limit():
    page = (Path(__file__).parents[2] / "docs/robustness.md").read_text(encoding="utf-8")
    head, *rows = page.split("\n| architecture |")[1].split("\n\n")[0].splitlines()
    assert [name.strip() for name in head.split("|")[: len(CHECKS)]] == list(CHECKS)
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]
    assert [name for name, *_ in found] == list(ZOO)
    assert max(float(cell) for _, *cells in found for cell in cells[: len(CHECKS)]) <= MOST


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_is_not_causal_is_refused_at_its_first_use(name):
    model = build(REFUSED[name])
    said = rf"{type(model).__name__} fails the self-test 'causal'.*The study needs a causal LM"
    with pytest.raises(ModelError, match=said):
        self_test(model, HOOK_POINT)
    with pytest.raises(ModelError, match="'causal'"):
        resolve_hook_point(model, HOOK_POINT)


# What the measurements are for: without them the laws break, so none of the tests above is idle.


@pytest.mark.parametrize(
    "name",
    ["mistral, sliding", "gpt-neo, local", "llama4, chunked", "mpt", "mamba2", "phi3, long rope"],
)
def test_padding_behind_kept_prompts_would_change_clamps_and_continuations(name, monkeypatch):
    for module in ("generate", "intervention_scoring"):
        monkeypatch.setattr(f"fispace.lm.{module}.keeping", lambda *_: "padded")
    assert max(of_clamps(model_of(name)), of_texts(model_of(name))) > 1e-2


def test_keeping_prompts_of_one_length_would_change_them_where_length_scales_the_positions(
    monkeypatch,
):
    for module in ("generate", "intervention_scoring"):
        monkeypatch.setattr(f"fispace.lm.{module}.keeping", lambda *_: "equal lengths")
    assert of_texts(model_of("phi3, long rope")) > 1e-2


def test_padded_batches_would_change_scores_where_the_longest_text_scales_the_positions(
    monkeypatch,
):
    monkeypatch.setattr(batching, "sharing", lambda *_: "padded")
    assert of_scores(model_of("phi3, long rope")) > 1e-2


def test_a_model_whose_rows_touch_each_other_runs_one_text_at_a_time():
    model = build(ZOO["llama"])
    model.model.layers[1].register_forward_hook(lambda _m, _i, x: x + x.mean(0, keepdim=True))
    assert batching.sharing(model, [5, 5]) == batching.sharing(model, [5, 9]) == "alone"
    assert cached.keeping(model, 40, 1) == "nothing"
    assert max(check(model) for check in CHECKS.values()) <= MOST


def test_full_attention_with_explicit_positions_keeps_the_padded_path():
    model = model_of("llama")
    passes = []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    ids = torch.tensor([[5, 6, 7, 0], [8, 9, 10, 11]])
    logits(model, ids, (ids > 0).long())
    passes.clear()
    logits(model, ids, (ids > 0).long())
    handle.remove()
    assert len(passes) == 1


def test_scores_that_padding_has_changed_are_refused_whatever_the_measurement_said(monkeypatch):
    model, moves = model_of("mistral, sliding"), Moves(variants, variants)
    checked = score_checked(model, HOOK_POINT, plan_of(PROMPTS), 256, moves, len(STRENGTHS))
    assert (
        checked.tolist()
        == score_moved(model, HOOK_POINT, plan_of(PROMPTS), 256, moves, len(STRENGTHS)).tolist()
    )
    monkeypatch.setattr("fispace.lm.intervention_scoring.keeping", lambda *_: "padded")
    with pytest.raises(ModelError, match=r"MistralForCausalLM fails the self-test 'scores'.*nats"):
        score_checked(model, HOOK_POINT, plan_of(PROMPTS), 256, moves, len(STRENGTHS))
