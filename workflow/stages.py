"""Writes studies/<run>/dvc.yaml: the DVC stages of another study than the default one.

    python workflow/stages.py --config overlay=params/pythia-70m.yaml
    dvc repro studies/pythia-70m/dvc.yaml

The stages are those of dvc.yaml, with the folders of this run and the values given here.
Must not: hold a stage of its own.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.cli import parse_config

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
from engine.given import as_typed
from fispace.errors import FispaceError, ParamsError
from fispace.provenance.records import places_named_in
from fispace.store.files import write_text
from fispace.study.params import OVERLAY, Study, load_study, uses_testbed

DEFAULT_RUN = "testbed"
STUDIES = Path("studies")
UP = "../.."
"""From the folder of a study's dvc.yaml to the repository."""
READS_GIVEN = ("extract", "fidelity", "factorial")
"""Stages that read the user's model or texts."""


def stages_of(study: Study, given: Sequence[str], overlays: Sequence[str]) -> dict[str, Any]:
    """The content of a study's dvc.yaml; `given` are its values of the command line.

    Raises:
        ParamsError: if it is the default run, whose stages are in dvc.yaml.
    """
    run = study["run"]
    if run == DEFAULT_RUN:
        raise ParamsError(f"run: the stages of {run!r} are in dvc.yaml itself; use `dvc repro`.")
    content = _of_run(yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8")), run)
    own = f"results/{run}/testbed"
    unused = set() if uses_testbed(study) else {own}
    named = [str(place) for place in _given_places(study) if place.exists()]
    stages: dict[str, Any] = {}
    for name, stage in content["stages"].items():
        if own in unused and name == "testbed":
            continue
        further = [*overlays, *(named if name in READS_GIVEN else [])]
        deps = [dep for dep in stage["deps"] if dep not in unused]
        command = f"{stage['cmd']} {shlex.join(['--config', *given])}"
        changed = {"wdir": UP, "cmd": _literal(command), "deps": [*deps, *map(_literal, further)]}
        stages[name] = stage | changed
    results = f"results/{run}/"
    metrics = [f"{UP}/{path}" for path in content["metrics"] if path.startswith(results)]
    plots = [
        {f"{UP}/{path}": how}
        for plot in content["plots"]
        for path, how in plot.items()
        if path.startswith(results)
    ]
    return {"stages": stages, "metrics": metrics, "plots": plots}


def _of_run(value: Any, run: str) -> Any:
    """The value with the default run's folder replaced by this run's."""
    if isinstance(value, str):
        old = f"results/{DEFAULT_RUN}/"
        return f"results/{run}/{value.removeprefix(old)}" if value.startswith(old) else value
    if isinstance(value, Mapping):
        return {_of_run(key, run): _of_run(item, run) for key, item in value.items()}
    return [_of_run(item, run) for item in value] if isinstance(value, list) else value


def _given_places(study: Study) -> list[Path]:
    texts = {name: study["extract"][name] for name in ("text", "transfer")}
    return places_named_in({"lm": study["lm"], **texts})


def _literal(text: str) -> str:
    """The text with DVC's template syntax escaped."""
    return text.replace("${", "\\${")


def main(arguments: list[str] | None = None) -> int:
    """Write the file; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", nargs="+", required=True, metavar="KEY=VALUE", help="as for snakemake"
    )
    given = parser.parse_args(arguments).config
    try:
        config = as_typed(parse_config(given), given)
        study = load_study(Path(), overrides=config)
        overlay = config.get(OVERLAY, [])
        overlays = overlay if isinstance(overlay, list) else [overlay]
        content = stages_of(study, given, overlays)
    except (FispaceError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    path = STUDIES / study["run"] / "dvc.yaml"
    head = f"# Written by `python workflow/stages.py`; run them with `dvc repro {path}`.\n"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    sys.stderr.write(f"wrote {path}; `dvc repro {path}` runs its stages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
