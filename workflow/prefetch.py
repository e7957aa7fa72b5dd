"""Fetches what a study takes from a hub, for compute nodes that have no network.

    python workflow/prefetch.py --config overlay=FILE ...    the values the study is made with

Run it where there is a network, such as a login node. It writes the model and the texts to
prefetched/<run>/ and prints the values that name these files; a study that is given them reads nothing else.
What is local already is left alone. Must not: change a document, or load a model.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from engine.given import as_typed
from fispace.errors import FispaceError, ModelError
from fispace.store.documents import Document, read_documents
from fispace.store.files import atomic_path
from fispace.study.config.extract import TextConfig
from fispace.study.config.lm import LmConfig
from fispace.study.params import Study, load_study

FOLDER = Path("prefetched")
MODEL_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]
"""Weights in safetensors and the tokenizer; no pickled weights, no code."""
DOCUMENTS_OF_BATCH = 1000


def fetched(study: Study, most_documents: int | None) -> Iterator[tuple[str, Path]]:
    """Fetch all that comes from a hub; yields the key of the command line and the local place.

    Raises:
        FispaceError: if a model or a text cannot be fetched.
    """
    folder, lm = FOLDER / study["run"], LmConfig(**study["lm"])
    if not lm.is_testbed and not Path(lm.name).is_dir():
        yield "model", fetch_model(lm, folder / lm.name.replace("/", "--"))
    for key in ("text", "transfer"):
        source = study["extract"][key]
        if source is not None and source["source"] == "hub":
            text = TextConfig(**source)
            documents = islice(read_documents(text, None), most_documents)
            yield key, write_documents(documents, text.field, folder / f"{key}.parquet")


def fetch_model(lm: LmConfig, folder: Path) -> Path:
    """The model's folder, with configuration, tokenizer and safetensors weights.

    Raises:
        ModelError: if the hub does not answer, or has no such model.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            lm.name, revision=lm.revision, local_dir=folder, allow_patterns=MODEL_FILES
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The model {lm.name!r} (revision {lm.revision}) cannot be fetched: {error} Check the name "
            "and the network, or give a local folder with --config model=FOLDER."
        ) from None
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"The model {lm.name!r} has no weights in safetensors, and no others are read. Choose a "
            "revision that has them, or convert the model and give its folder with --config model=FOLDER."
        )
    return folder


def write_documents(documents: Iterable[Document], field: str, path: Path) -> Path:
    """The documents as Parquet, in their order, in a column of the name that the study reads."""
    schema, left = pa.schema([(field, pa.large_string())]), iter(documents)
    with atomic_path(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        while some := [each.text for each in islice(left, DOCUMENTS_OF_BATCH)]:
            writer.write_table(pa.table({field: some}, schema=schema))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Fetch, and print the values that name the files; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake"
    )
    parser.add_argument(
        "--documents", type=int, help="of each text, from its start; all without it"
    )
    given = parser.parse_args(arguments)
    typed = dict(each.partition("=")[::2] for each in given.config)
    values = {key: yaml.safe_load(value) for key, value in typed.items()}
    try:
        study = load_study(Path.cwd(), overrides=as_typed(values, given.config))
        found = {key: str(path) for key, path in fetched(study, given.documents)}
    except (FispaceError, yaml.YAMLError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if not found:
        sys.stdout.write("nothing to fetch: this study's model and texts are local\n")
        return 0
    words = ["--config", *(f"{key}={value}" for key, value in (typed | found).items())]
    sys.stdout.write(f"fetched; on the cluster: snakemake {shlex.join(words)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
