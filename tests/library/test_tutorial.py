"""The tutorial of the library runs as it is printed."""

import runpy
import sys
from pathlib import Path

import torch
from library.conftest import HOOK_POINT, sentences
from library.test_library import battery

SCRIPT = Path(__file__).parents[2] / "docs/tutorial.py"


def test_the_script_does_a_whole_study_in_forty_lines(lm_folders, tmp_path, monkeypatch, capsys):
    torch.set_num_threads(1)
    assert len(SCRIPT.read_text().splitlines()) <= 40
    text, items = tmp_path / "text.txt", tmp_path / "items.csv"
    text.write_text("\n\n".join(sentences(60)))
    battery().to_csv(items, index=False)
    out = tmp_path / "out"
    words = [str(lm_folders["llama"]), str(HOOK_POINT), str(text), str(items), str(out)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
    runpy.run_path(str(SCRIPT))
    said = capsys.readouterr().out
    fvus = [line.split("FVU ")[1].split()[0] for line in said.splitlines() if "FVU" in line]
    assert len(fvus) == 4 and fvus[0] == fvus[-1]  # the SAE, and the SAE read back
    assert "epsilon_random" in said and "p_max" in said and " x 5: " in said
    assert {path.name for path in out.iterdir()} >= {"cfg.json", "README.md"}
