"""Figures: drawn from their CSV alone, the same bytes every time, and without torch."""

import os
import re
import subprocess
import sys
from html import unescape
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text
from report.plotted import N_LATENTS, PARAMS, latent_table, write_all

from fispace.chapters.geometry.plots import write_geometry_plots
from fispace.errors import ParamsError
from fispace.plotting.style import house_style, rendered
from fispace.report.captions import CAPTIONS
from fispace.report.draw import FIGURES, draw_figure
from fispace.report.tables import OF_FIGURES
from fispace.report.verdicts import VERDICTS
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.chapters import CHAPTERS

ROOT = Path(__file__).parents[2]
USERS_TEXTS = {
    "claims": ("claim",),
    "claims_full": ("claim",),
    "audit": ("label", "text"),
    "pipeline": ("label", "detail"),
    "architecture": ("label", "detail"),
    "reconstruction": ("arm", "parts"),
    "kl": ("arm", "parts"),
    "controls": ("arm", "parts"),
    "shapley": ("arm",),
    "arm_controls": ("arm", "control"),
    "norms": ("arm",),
    "clamping": ("cell",),
    "interaction": ("first", "second"),
    "family": ("kind",),
    "generations": ("kind", "decoding", "cell"),
    "calibration": ("null", "what"),
    "volcano": ("label",),
}
"""Columns of a plotted table that are shown as they are written: names of arms, levels, claims, ..."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_all(tmp_path_factory.mktemp("plots"))


def draw(name: str, table: Path, folder: Path) -> tuple[bytes, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    svg, pdf = folder / f"{name}.svg", folder / f"{name}.pdf"
    draw_figure(figure=name, table=table, svg=svg, pdf=pdf)
    return svg.read_bytes(), pdf.read_bytes()


@pytest.fixture(scope="module")
def drawn(
    tables: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[bytes, bytes]]]:
    folder = tmp_path_factory.mktemp("drawn")
    return {name: [draw(name, tables[name], folder / i) for i in "ab"] for name in FIGURES}


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_table_gives_the_same_bytes(
    name: str, drawn: dict[str, list[tuple[bytes, bytes]]]
) -> None:
    first, second = drawn[name]
    assert first == second


@pytest.mark.parametrize("name", FIGURES)
def test_no_users_matplotlibrc_enters_a_figure(
    name: str, tables: dict[str, Path], drawn: dict[str, list[tuple[bytes, bytes]]], tmp_path: Path
) -> None:
    foreign = {"font.size": 20, "legend.fontsize": 30, "axes.titlesize": 25, "axes.grid": True}
    with matplotlib.rc_context(foreign):
        assert draw(name, tables[name], tmp_path) == drawn[name][0]


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_has_the_size_of_the_house(name: str, tables: dict[str, Path]) -> None:
    figure = FIGURES[name](read_csv(tables[name], OF_FIGURES[name]))
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert min(sizes) >= 5
    assert max(sizes) <= 8


@pytest.mark.parametrize("name", FIGURES)
def test_text_stays_text_and_no_date_or_version_is_written(
    name: str, drawn: dict[str, list[tuple[bytes, bytes]]]
) -> None:
    svg, pdf = drawn[name][0]
    assert b"<text" in svg
    assert b"<dc:date>" not in svg
    assert b"CreationDate" not in pdf
    assert b"matplotlib" not in pdf.lower()


def ids(svg: bytes) -> tuple[list[str], set[str]]:
    """Names that a drawing gives, and those that it uses."""
    tags = " ".join(re.findall("<[^<>]*>", svg.decode()))
    return re.findall(r'\sid="([^"]+)"', tags), set(re.findall(r'(?:url\(|href=")#([^")]+)', tags))


@pytest.mark.parametrize("name", FIGURES)
def test_clip_paths_and_markers_are_numbered_in_order_of_appearance(
    name: str, drawn: dict[str, list[tuple[bytes, bytes]]]
) -> None:
    svg, _ = drawn[name][0]
    given, used = ids(svg)
    assert len(given) == len(set(given))
    assert used <= set(given)
    first_places = {name: svg.index(f'{name}"'.encode()) for name in used if name[0] == "m"}
    first_places |= {name: svg.index(f"#{name})".encode()) for name in used if name[0] == "p"}
    numbers = [int(name[1:]) for name in sorted(first_places, key=first_places.__getitem__)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_last_digit_of_a_coordinate_does_not_reach_the_bytes_of_a_drawing() -> None:
    def drawing(left: float, suffix: str) -> bytes:
        with house_style():
            figure = Figure(figsize=(3, 2), layout="none")
            axis = figure.add_axes((left, 0.2, 0.7, 0.7))
            axis.plot([1, 10, 100], [0.1, 0.2, 0.4], "D-", label="a")
            axis.set_xscale("log")
        return rendered(figure, suffix)

    for suffix in (".svg", ".pdf"):
        one, other = (drawing(left, suffix) for left in (0.1234, np.nextafter(0.1234, 1)))
        assert one == other


def test_a_text_that_looks_like_a_name_is_left_alone() -> None:
    text = 'of id="p0123456789" and url(#p0123456789), <use id="m0123456789"/>'
    with house_style():
        figure = Figure(figsize=(3, 2), layout="none")
        figure.text(0.1, 0.1, text)
    assert text in unescape(rendered(figure, ".svg").decode())


@pytest.mark.parametrize("name", USERS_TEXTS)
def test_no_text_of_a_table_is_read_as_a_formula(
    name: str, tables: dict[str, Path], tmp_path: Path
) -> None:
    markup = r"$\frac$ \$5 {0} %s"
    table = read_csv(tables[name], OF_FIGURES[name])
    for column in USERS_TEXTS[name]:
        marked = [f"{cell} {markup}" if isinstance(cell, str) else cell for cell in table[column]]
        table[column] = marked
    write_csv(tmp_path / "marked.csv", table, OF_FIGURES[name])
    svg, _ = draw(name, tmp_path / "marked.csv", tmp_path)
    assert markup in unescape(svg.decode())


def test_drawing_needs_no_torch(tables: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import sys; from fispace.cli import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'transformers', 'scipy'} & set(sys.modules); sys.exit(code)"
    )
    paths = ["--table", tables["norms"], "--svg", tmp_path / "a.svg", "--pdf", tmp_path / "a.pdf"]
    arguments = ["report", "draw", "--figure", "norms", *map(str, paths)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    assert (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    "surroundings",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},  # as a notebook hands it on
        {"MPLBACKEND": "nonsense"},
        {"HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"},
        {"MPLCONFIGDIR": "/dev/null/none"},
        {"MATPLOTLIBRC": "usetex"},
    ],
    ids=lambda env: next(iter(env.items()))[0],
)
def test_a_figure_does_not_depend_on_a_notebook_a_home_or_settings_of_matplotlib(
    surroundings: dict[str, str], tables: dict[str, Path], tmp_path: Path,
    drawn: dict[str, list[tuple[bytes, bytes]]],
) -> None:  # fmt: skip
    (tmp_path / "usetex").write_text("text.usetex: True\nbackend: nonsense\nfont.family: serif\n")
    paths = {"table": tables["norms"], "svg": tmp_path / "a.svg", "pdf": tmp_path / "a.pdf"}
    arguments = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    done = subprocess.run(
        [sys.executable, "-m", "fispace", "report", "draw", "--figure", "norms", *arguments],
        cwd=tmp_path, env=os.environ | surroundings, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (paths["svg"].read_bytes(), paths["pdf"].read_bytes()) == drawn["norms"][0]


def test_an_unknown_figure_is_named(tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such figure"):
        draw("portrait", tables["norms"], tmp_path)


def test_every_figure_has_a_rule_and_a_caption() -> None:
    rules = (ROOT / "workflow/rules/report.smk").read_text()
    lists = re.findall(r"^OF_\w+ = (\[.*\])", rules, re.MULTILINE)
    listed = [name for text in lists for name in yaml.safe_load(text)]
    assert listed == list(FIGURES) == list(CAPTIONS)


def test_the_reconstruction_table_has_each_seed_and_their_mean(tables: dict[str, Path]) -> None:
    table = read_csv(tables["reconstruction"], OF_FIGURES["reconstruction"])
    joint = table[(table["arm"] == "joint") & table["is_full"]]
    assert joint[joint["seed"] == 1]["fvu"].item() == pytest.approx(0.24)
    assert joint[joint["seed"].isna()]["fvu"].item() == pytest.approx(0.18)
    assert joint["control_fvu"].iloc[0] == pytest.approx(0.24)


def test_all_parts_of_an_arm_stand_above_its_ablations(tables: dict[str, Path]) -> None:
    table = read_csv(tables["kl"], OF_FIGURES["kl"])
    first = table.sort_values("order").drop_duplicates("arm")
    assert first["is_full"].all()


def test_the_control_figure_shows_whole_arms_from_the_reconstruction_to_the_isotropic_error(
    tables: dict[str, Path],
) -> None:
    table = read_csv(tables["controls"], OF_FIGURES["controls"])
    joint = table[(table["arm"] == "joint") & (table["seed"] == 0)]
    order = ["reconstruction", "shuffled_error", "covariance_noise", "cosine_noise"]
    assert joint["condition"].tolist() == [*order, "epsilon_random"]
    assert joint["kl"].tolist() == pytest.approx([1.2, 8, 6, 3, 0.3])
    assert set(table["arm"]) == {"sae", "sae_bias", "joint"}


def test_the_shapley_figure_has_each_seed_and_their_mean_and_no_arm_of_one_part(
    tables: dict[str, Path],
) -> None:
    table = read_csv(tables["shapley"], OF_FIGURES["shapley"])
    assert set(table["arm"]) == {"joint"}
    row = table[(table["form"] == "canonical") & (table["part"] == "interaction")]
    row = row[(row["metric"] == "kl") & (row["measure"] == "shapley_share")]
    assert row["share"].tolist() == pytest.approx([0.5, 0.7, 0.6])
    assert row["seed"].isna().tolist() == [False, False, True]


def test_position_curves_are_means_over_seeds_with_bos_only_where_it_is_scored(
    tables: dict[str, Path],
) -> None:
    table = read_csv(tables["positions"], OF_FIGURES["positions"])
    first = table.groupby("special_tokens")["position"].min()
    assert first.to_dict() == {"masked": 1, "included": 0}
    assert table[table["position"] == 1]["kl"].to_numpy() == pytest.approx(3.0)
    assert set(table["arm"]) == {"sae_bias", "joint"}


def test_norm_histograms_count_every_latent(tables: dict[str, Path]) -> None:
    shares = read_csv(tables["norms"], OF_FIGURES["norms"]).groupby(["arm", "state"])["share"].sum()
    assert shares.tolist() == pytest.approx([1.0] * 4)


def test_silent_latents_are_a_part_of_the_trained_ones(tables: dict[str, Path]) -> None:
    table = read_csv(tables["norms"], OF_FIGURES["norms"])
    trained, initial = (table[table["state"] == name] for name in ("trained", "initial"))
    assert (trained["never_fired"] <= trained["share"]).all()
    assert trained.groupby("arm")["never_fired"].sum().tolist() == pytest.approx([0.25] * 2)
    assert initial["never_fired"].isna().all()
    assert trained["firing_rate"].max() <= 0.4


def test_the_overview_has_every_claim_and_every_answer(tables: dict[str, Path]) -> None:
    table = read_csv(tables["claims"], OF_FIGURES["claims"])
    assert table.groupby("claim")["answer"].nunique().tolist() == [4] * len(VERDICTS)
    shown = table.set_index(["claim", "answer"])
    assert shown.loc[("N2 gain (50.0 %)", "published"), "ratio"] == pytest.approx(2.0)
    off = shown.loc[("N2 gain (50.0 %)", "controlled")]
    assert off["is_off"]
    assert off["ratio"] == off["limit"]
    assert table[table["claim"] == "N1 gain (0.0 %)"]["ratio"].isna().all()


def test_the_diagrams_show_modules_that_exist(tables: dict[str, Path]) -> None:
    for name in ("pipeline", "architecture"):
        boxes = read_csv(tables[name], OF_FIGURES[name]).query("shape == 'box'")
        for path in boxes["module"]:
            module, _, attribute = path.partition(":")
            attrgetter(attribute)(import_module(module)) if attribute else import_module(module)


def test_the_pipeline_has_a_box_for_every_chapter(tables: dict[str, Path]) -> None:
    boxes = read_csv(tables["pipeline"], OF_FIGURES["pipeline"]).query("shape == 'box'")
    assert list(boxes["label"]) == list(CHAPTERS)
    assert [path.split(".")[-1] for path in boxes["module"]] == list(CHAPTERS)


def test_the_model_is_drawn_with_the_sizes_of_the_study(tables: dict[str, Path]) -> None:
    text = " ".join(read_csv(tables["architecture"], OF_FIGURES["architecture"])["detail"].dropna())
    assert "32 of 1,536" in text
    assert "24 × 24" in text


def test_arms_that_the_paper_does_not_show_stay_out_of_its_figures(
    tables: dict[str, Path],
) -> None:
    assert set(read_csv(tables["norms"], OF_FIGURES["norms"])["arm"]) == {"sae", "joint"}
    assert set(read_csv(tables["spectrum"], OF_FIGURES["spectrum"])["series"]) == {
        "sae",
        "joint",
        "initial",
        "marchenko_pastur",
    }


def test_the_scatter_shows_the_same_latents_in_every_state(tables: dict[str, Path]) -> None:
    table = read_csv(tables["ratio_scatter"], OF_FIGURES["ratio_scatter"])
    shown = table.groupby(["state", "ratio"])["latent"].apply(tuple)
    assert shown.nunique() == 1
    assert len(shown.iloc[0]) == PARAMS.scatter_latents < N_LATENTS


def test_a_violin_outline_is_a_density(tables: dict[str, Path]) -> None:
    table = read_csv(tables["norm_ratios"], OF_FIGURES["norm_ratios"])
    for _, rows in table.groupby(["state", "ratio", "group"]):
        step = rows["position"].diff().iloc[1]
        assert 0.7 < (rows["density"] * step).sum() < 1.05
        assert rows["quartile_1"].iloc[0] < rows["median"].iloc[0] < rows["quartile_3"].iloc[0]


def test_the_clamping_table_has_the_candidate_and_its_random_control(
    tables: dict[str, Path],
) -> None:
    table = read_csv(tables["clamping"], OF_FIGURES["clamping"])
    assert set(table["kind"]) == {"candidate", "random"}
    assert set(table["cell"]) == {"formal, neutral", "formal, emotional", "casual, neutral"}
    assert set(table["row"]) == {"mean", "item", "fit"}


def test_a_study_without_the_joint_arm_is_told_so(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", latent_table("sae", 0), {})
    out = {name: tmp_path / name for name in ("norms", "norm_ratios", "ratio_scatter", "spectrum")}
    with pytest.raises(ParamsError, match="'joint'"):
        write_geometry_plots(PARAMS, latents=[tmp_path / "a.parquet"], spectra=[], **out)
