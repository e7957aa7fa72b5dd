"""What is fetched for nodes without a network is what the study would have read there."""

from pathlib import Path

import datasets
import huggingface_hub
import pytest
import yaml

import prefetch
from fispace.store.documents import read_documents
from fispace.study.config.extract import TextConfig
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
ROWS = [{"body": f"text {i} é\n two" if i % 7 else "  "} for i in range(2500)]
OPTIONS = ["--config", "overlay=hub.yaml", "run=other"]


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """A study whose model and text are on a hub, and a hub that has them."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    text = {
        "source": "hub", "path": "some/text", "field": "body", "delimiter": None, "config": "raw",
        "split": "train", "revision": None,
    }  # fmt: skip
    overlay = {"run": "hub", "lm": {"name": "some/model"}, "extract": {"text": text}}
    overlay["factorial"] = {"battery": "english", "variant": "keyword", "clamp_items": 10}
    Path("hub.yaml").write_text(yaml.safe_dump(overlay))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: iter(ROWS))

    def snapshot(name: str, *, local_dir, allow_patterns, **_):
        assert (
            name == "some/model" and "*.bin" not in allow_patterns and "*.py" not in allow_patterns
        )
        local_dir.mkdir(parents=True)
        (local_dir / "config.json").write_text("{}")
        (local_dir / "model.safetensors").write_text("")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return text


def test_a_study_with_the_fetched_files_reads_the_documents_of_the_hub(hub, capsys):
    of_hub = [each.text for each in read_documents(TextConfig(**hub), None)]
    assert len(of_hub) == sum(row["body"].strip() != "" for row in ROWS)
    assert prefetch.main(OPTIONS) == 0
    words = capsys.readouterr().out.split("snakemake --config ")[1].split()
    study = load_study(Path.cwd(), overrides=dict(word.split("=", 1) for word in words))
    assert study["run"] == "other"
    assert Path(study["lm"]["name"]) == Path("prefetched/other/some--model")
    local = TextConfig(**study["extract"]["text"])
    assert local.source == "parquet"
    assert [each.text for each in read_documents(local, None)] == of_hub


def test_a_bound_keeps_the_first_documents(hub):
    assert prefetch.main([*OPTIONS, "--documents", "5"]) == 0
    local = TextConfig(**hub | {"source": "parquet", "path": "prefetched/other/text.parquet"})
    found = [each.text for each in read_documents(local, None)]
    assert found == [row["body"] for row in ROWS[1:6]]


def test_a_local_study_needs_nothing(capsys):
    assert prefetch.main([]) == 0
    assert "nothing to fetch" in capsys.readouterr().out
    assert not Path("prefetched").exists()


def test_a_hub_that_does_not_answer_gives_one_paragraph_and_leaves_nothing(monkeypatch, capsys):
    def unreachable(*_, **__):
        raise OSError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    assert prefetch.main(OPTIONS) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: The model 'some/model'") and "no route" in said
    assert said.count("\n") == 1
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: None)
    assert prefetch.main(OPTIONS) == 1
    assert "no weights in safetensors" in capsys.readouterr().err
    assert not list(Path().rglob("*.parquet"))
