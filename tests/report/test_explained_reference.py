"""The reference results: every number of them is followed to where it comes from."""

import importlib
import random
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fispace.provenance.functions import find_definition
from fispace.provenance.lineage import Run, read_run
from fispace.report.explain_chain import ORIGINS_OF, Explanation, derived, explain_file
from fispace.report.explain_rows import FoundRow, Tables
from fispace.report.quantities import OF_TABLES
from fispace.store.quantities import Quantity
from fispace.study.commands import all_commands, find_command
from fispace.study.declarations import OptionKind

ROOT = Path(__file__).parents[2]
STUDIES = ("testbed", "stories260k")
N_NUMBERS = 20
NOT_RECORDED = {"interactions recovery-summary", "train import"}
"""Commands that the reference was made without: worlds that say nothing of its activations, and what this
study does not call."""
FROM_PARAMETERS = {
    "testbed planted", "testbed corpus", "interactions recovery", "report diagrams", "report quantities",
}  # fmt: skip
"""Commands that read no activation: planted worlds, the grammar, sizes, and the paper's own sizes."""
MEASURED = {
    "factorial calibrate", "factorial battery", "factorial generate", "factorial pairs",
    "factorial single-latent-response", "geometry history", "interactions contexts", "interactions power",
    "report arms", "report diagrams", "testbed corpus", "train tabulate-tuning",
}  # fmt: skip
"""Commands that write a table of the reference whose rows are made of whole files, or of nothing."""


@cache
def reference(study: str) -> tuple[Run, Tables]:
    run = read_run(ROOT / "results/reference" / study)
    return run, Tables(run)


def tables_of(study: str) -> list[str]:
    folder = ROOT / "results/reference" / study
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.csv"))


def sampled(study: str, name: str, n: int, stream: random.Random) -> list[FoundRow]:
    table = reference(study)[1].get(name)
    return table.rows(stream.sample(range(len(table.frame)), min(n, len(table.frame))))


def explained(study: str, name: str, rows: list[FoundRow] | None) -> Explanation:
    return explain_file(*reference(study), name, rows)


def ends_of(found: Explanation) -> set[str]:
    """What a chain ends in: the files given, the shards and stimuli behind it, commands without inputs."""
    written = {
        found.run.name(record, name)
        for step in found.steps
        for record in step.records
        for name in record.outputs
    }
    shards = {name for name in written if "/shard-" in name}
    stimuli = {name for name in written if name == "testbed/stimuli.csv"}
    stimuli |= {name for name in found.given if "/stimuli/" in name}
    unread = {step.command for step in found.steps if not step.inputs}
    return shards | stimuli | unread & FROM_PARAMETERS


@pytest.mark.parametrize("study", STUDIES)
def test_random_numbers_lead_to_an_activation_shard_a_stimulus_or_parameters_alone(study):
    stream = random.Random(study)
    numbers = []
    while len(numbers) < N_NUMBERS:
        name = stream.choice(tables_of(study))
        (row,) = sampled(study, name, 1, stream)
        columns = [key for key, value in row.cells.items() if isinstance(value, float)]
        if columns:
            numbers.append((name, row))
    n_of_activations = 0
    for name, row in numbers:
        found = explained(study, name, [row])
        assert found.steps[0].outputs == [name] and found.unrecorded == []
        ends = ends_of(found)
        assert ends, (name, row)
        n_of_activations += any("shard-" in end or "stimuli" in end for end in ends)
    assert n_of_activations > N_NUMBERS / 2


@pytest.mark.parametrize("study", STUDIES)
def test_every_file_has_a_chain_without_a_gap(study):
    run, _ = reference(study)
    names = [
        path.relative_to(run.folder).as_posix()
        for path in run.folder.rglob("*.*")
        if path.suffix in (".csv", ".svg", ".pdf", ".md", ".json")
    ]
    assert len(names) > 100
    for name in names:
        found = explained(study, name, None)
        assert found.steps[0].function is not None, name
        assert found.unrecorded == [] and ends_of(found), name


def test_every_written_file_of_every_command_has_a_chain():
    run, tables = reference("testbed")
    written = {
        (record.command, option) for record in run.makers.values() for option in record.files
    }
    for command in all_commands():
        for option in command.writes:
            is_recorded = (command.name, option) in written
            assert is_recorded != (command.name in NOT_RECORDED), (command.name, option)
    one_of_each = {record.command: name for name, record in run.makers.items()}
    assert {command.name for command in all_commands()} == {*one_of_each, *NOT_RECORDED}
    for name in one_of_each.values():
        found = explain_file(run, tables, name, None)
        assert found.unrecorded == []
        assert not found.steps[-1].inputs or found.given, name
        assert all(step.function is not None for step in found.steps)


def test_origins_name_functions_of_their_commands_and_options_that_these_write():
    known = {(c.module.rpartition(".")[0], c.function): c for c in all_commands()}
    for package, module in ORIGINS_OF.items():
        for function, by_option in getattr(module, "ORIGINS", {}).items():
            assert set(by_option) <= set(known[str(package), function].writes), function
        for function, names in getattr(module, "EQUATIONS", {}).items():
            assert (package, function) in known
            for name in names:
                assert find_definition(name).summary


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_that_is_made_of_tables_says_of_which_rows(study):
    run, tables = reference(study)
    stream = random.Random(study)
    for name in tables_of(study):
        rows, maker = sampled(study, name, 3, stream), run.makers[name]
        found = derived(run, tables, name, rows)
        if maker.command in MEASURED:
            assert found is None, name
            continue
        assert found is not None and len(found) == len(rows), name
        command = find_command(*maker.command.split(" "))
        for one in found:
            assert find_definition(one.function.name).summary
            for read in one.reads:
                assert read.rows.table in command.names_of(OptionKind.READS), (name, read.rows)
                assert read.files, (name, read.rows)
                is_there = read.missing is None and read.rows.column is not None
                assert not is_there or any(read.found.values()), (name, read.rows)


def test_a_quantity_is_its_function_of_its_cells():
    """The origin is what was computed: from the cells that it names, its function gives the value."""
    run, tables = reference("testbed")
    name = "report/full/quantities.csv"
    table = tables.get(name)
    stream = random.Random(0)
    chosen = table.rows(stream.sample(range(len(table.frame)), 300))
    checked = 0
    for row in chosen:
        found = derived(run, tables, name, [row])
        assert found is not None, row
        (one,) = found
        if not one.reads:
            assert str(row.cells["quantity"]).startswith("paper."), row
            continue
        if str(row.cells["quantity"]).startswith("planted_"):
            (read,) = one.reads  # means over worlds are kept, and the quantity is that of one world
            assert [file for file, rows in read.found.items() if len(rows) == 1], row
            continue
        module, _, function = one.function.name.partition(":")
        cells = {
            read.argument: [
                each.cells[str(read.rows.column)] for of in read.found.values() for each in of
            ]
            for read in one.reads
        }
        single = {key: value[0] if len(value) == 1 else value for key, value in cells.items()}
        if function in ("total", "parameter_share"):
            single = cells
        if function == "smallest":
            single = {key: pd.Series(value) for key, value in cells.items()}
        value = getattr(importlib.import_module(module), function)(**single)
        assert value == pytest.approx(row.cells["value"], rel=1e-12, nan_ok=True), row
        checked += 1
    assert checked > 250


def test_every_quantity_that_a_claim_names_has_an_origin():
    run, tables = reference("testbed")
    claims = tables.get("report/full/claims.csv")
    for row in claims.rows(range(len(claims.frame))):
        for one in derived(run, tables, "report/full/claims.csv", [row]) or []:
            for read in one.reads:
                for file, rows in read.found.items():
                    if "quantity" in read.rows.where:
                        assert derived(run, tables, file, rows), (row.cells["id"], read.rows)


def test_the_recovery_of_planted_pairs_leads_straight_to_the_worlds_and_the_function_of_its_number():
    run, tables = reference("testbed")
    name = "report/full/claims.csv"
    claims = tables.get(name)
    (row,) = claims.where({"id": "P1", "item": "joint_recovery"})
    found = explain_file(run, tables, name, [row])
    commands = [step.command for step in found.steps]
    assert commands == [
        "report claims", "report quantities", "testbed planted-summary", "testbed planted"
    ]  # fmt: skip
    assert "auc" in {formula.name.rpartition(":")[2] for formula in found.steps[-1].formulas}


def test_no_quantity_is_made_without_an_origin(monkeypatch):
    run, tables = reference("testbed")
    found: list[Quantity] = []
    original = Quantity.__new__

    def seen(cls, *values, **named):
        made = original(cls, *values, **named)
        found.append(made)
        return made

    monkeypatch.setattr(Quantity, "__new__", seen)
    for option in ("fidelity", "geometry", "family", "curve"):
        record = run.makers["report/full/quantities.csv"]
        names = {key: run.name(record, value[0]) for key, value in record.files.items()}
        list(OF_TABLES[option](lambda key, names=names: tables.get(names[key]).frame, np.nan))
    assert len(found) > 10_000 and all(one.origin is not None for one in found)
