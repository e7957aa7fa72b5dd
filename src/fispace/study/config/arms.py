"""The section `train` of params.yaml: all arms of a study, and what their rows may refer to.

Must not: hold a default, or know what a part computes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from fispace.study.config.audit import MEASURED, NO_SWITCH, Audited
from fispace.study.config.base import (
    Config,
    Distinct,
    InnerShare,
    Name,
    NonEmpty,
    Refusal,
    Seed,
    Threaded,
)
from fispace.study.config.parts import Part
from fispace.study.config.train import (
    ArmConfig,
    ArmModel,
    ArmTraining,
    Switchable,
    TriedSettings,
)
from fispace.study.names import arm_name

ArmName = Annotated[Name, AfterValidator(arm_name)]

BASELINE_ARM = "sae"

IMPORT = "import"
"""Key of a row whose SAE was trained elsewhere."""
OWN_ROW = "own"


def _plain_folder(folder: str) -> str:
    if set("{}") & set(folder):
        raise ValueError(
            f"{folder!r} holds a brace, which Snakemake takes for a wildcard; rename the folder"
        )
    return folder


class ImportedArm(Config):
    """A row of `train.arms` whose SAE was trained elsewhere; every run evaluates it."""

    folder: Annotated[NonEmpty, AfterValidator(_plain_folder)] = Field(alias=IMPORT)
    """Folder with a TopK SAE as SAELens or sparsify saves it. The arm has the parts sae and bias, and the
    number of latents and k that the folder states."""

    target: ClassVar[Literal["all", "full"]] = "all"
    parts: ClassVar[tuple[Part, ...]] = ("sae", "bias")
    frozen_sae_from: ClassVar[None] = None
    pooling: ClassVar[None] = None
    matched_to: ClassVar[None] = None


def _kind_of_row(row: Any) -> str:
    """Tag of a row's class; a row that is already read has the class itself."""
    is_import = isinstance(row, ImportedArm) or (isinstance(row, Mapping) and IMPORT in row)
    return IMPORT if is_import else OWN_ROW


ArmRow = Annotated[
    Annotated[ArmConfig, Tag(OWN_ROW)] | Annotated[ImportedArm, Tag(IMPORT)],
    Discriminator(_kind_of_row),
]


class MoreSeedsConfig(Config):
    """Trainings of the target full with further seeds."""

    seeds: Annotated[Distinct[Seed], Field(min_length=1, max_length=1000)]
    """Further seeds, none of them in train.seeds."""
    arms: Distinct[str]
    """Arms that are trained with these as well; all others have train.seeds only."""


class GainCurveConfig(Config):
    """Trainings of the target full for the curve of an arm's gain over its SAE against k at test time."""

    arm: str
    """Arm with a copied SAE. It is trained again at each k, on the k largest codes of that SAE."""
    k_shares: Annotated[Distinct[InnerShare], Field(min_length=1, max_length=100)]
    """Smaller k as shares of train.k, rounded to at least 1; an SAE is trained at each of them too."""


class TrainSection(ArmTraining, TriedSettings, Audited, Threaded):
    """Every arm: one model class, one training loop."""

    renamed: ClassVar[dict[str, str]] = {"control_arms": "arms, with `target: full` in the row"}

    seeds: Annotated[Distinct[Seed], Field(min_length=1, max_length=1000)]
    """Every arm is trained once per seed; arms of the same seed see the data in the same order."""
    lr_search_seed: Seed
    """Seed of the trainings that choose the learning rate and the settings of each arm."""
    checkpoint_seconds: Annotated[int, Field(ge=1, le=86_400)]
    """Seconds between saves of an unfinished training, from which a restarted job continues. The value
    changes no result."""
    arms: Annotated[dict[ArmName, ArmRow], Field(min_length=1, max_length=200)]
    """One row per arm; its name is a file name. The arm sae is required: the learning rate is chosen on it. The
    row `{import: FOLDER}` takes an SAE that was trained elsewhere."""
    more_seeds: MoreSeedsConfig
    """Trainings of the target full with further seeds."""
    gain_curve: GainCurveConfig
    """Trainings of the target full for the curve of an arm's gain over its SAE against k at test time."""

    @property
    def arms_of_every_run(self) -> dict[str, ArmConfig | ImportedArm]:
        """The arms that the target `all` trains."""
        return {name: arm for name, arm in self.arms.items() if arm.target == "all"}

    @model_validator(mode="after")
    def _require_rows_that_fit(self) -> "TrainSection":
        if BASELINE_ARM not in self.arms_of_every_run:
            raise Refusal(
                "arms",
                f"the arm '{BASELINE_ARM}', of target all, is missing; the learning rate is chosen on it",
            )
        if isinstance(self.arms[BASELINE_ARM], ImportedArm):
            raise Refusal(
                ("arms", BASELINE_ARM),
                "must be trained here, since the learning rate is chosen on it; give the imported SAE a row "
                "of its own",
            )
        for name, arm in self.arms.items():
            # an arm of every run needs no arm that only the target `full` trains
            allowed = self.arms_of_every_run if arm.target == "all" else self.arms
            _require_frozen(("arms", name), arm, allowed)
            _require_matched(("arms", name), arm, self.arms)
        return self

    @model_validator(mode="after")
    def _require_equal_budgets(self) -> "TrainSection":
        tried = len(self.lr_candidates), len(self.tuning.heads)
        if self.tuned and tried[0] != tried[1]:
            raise Refusal(
                ("tuning", "heads"),
                f"has {tried[1]} settings, and lr_candidates has {tried[0]}; every arm must get as many tries",
            )
        if self.tuned and self.tuning.token_share * self.n_tokens < self.batch_tokens:
            raise Refusal(
                ("tuning", "token_share"),
                f"of n_tokens={self.n_tokens} is less than one batch of batch_tokens={self.batch_tokens}",
                self.tuning.token_share,
            )
        return self

    @model_validator(mode="after")
    def _require_other_seeds_of_arms(self) -> "TrainSection":
        for name in self.more_seeds.arms:
            if name not in self.arms:
                raise Refusal(("more_seeds", "arms"), f"no arm {name!r} in train.arms")
        for seed in self.more_seeds.seeds:
            if seed in self.seeds:
                raise Refusal(
                    ("more_seeds", "seeds"),
                    f"{seed} is one of train.seeds={list(self.seeds)}; every arm is already trained "
                    "with it",
                )
        return self

    @model_validator(mode="after")
    def _require_a_curve_over_a_frozen_sae(self) -> "TrainSection":
        arm = self.gain_curve.arm
        if arm not in self.arms or self.arms[arm].frozen_sae_from is None:
            raise Refusal(
                ("gain_curve", "arm"),
                f"{arm!r} must be an arm with frozen_sae_from: the curve shows its gain over that SAE",
            )
        return self

    @model_validator(mode="after")
    def _require_a_curve_over_an_sae_of_this_study(self) -> "TrainSection":
        arm = self.gain_curve.arm
        source = self.arms[arm].frozen_sae_from
        if isinstance(self.arms.get(source or ""), ImportedArm):
            raise Refusal(
                ("gain_curve", "arm"),
                f"{arm!r} copies the imported SAE {source!r}, which cannot be trained again at each k; name "
                "an arm over an SAE that is trained here, or give the arm over the import another name",
            )
        return self

    @model_validator(mode="after")
    def _require_an_audit_that_can_be_made(self) -> "TrainSection":
        if self.standardise_per != "split":
            raise Refusal(
                "standardise_per",
                f"{self.standardise_per!r} is allowed in train.audit.switches only; every other "
                "analysis of a model uses the stored standardiser of the train split",
            )
        for key, name in (("arm", self.audit.arm), ("baseline", self.audit.baseline)):
            if name not in self.arms_of_every_run:
                raise Refusal(("audit", key), f"no arm {name!r} of target all in train.arms")
            if isinstance(self.arms[name], ImportedArm):
                raise Refusal(
                    ("audit", key), f"{name!r} is imported, and the audit trains it again"
                )
            if self.arms[name].frozen_sae_from is not None:
                raise Refusal(
                    ("audit", key),
                    f"{name!r} copies an SAE that was trained without the switch; name an arm that "
                    "trains its own",
                )
        if not {"linear", "interaction"} <= set(self.arms[self.audit.arm].parts):
            raise Refusal(
                ("audit", "arm"),
                f"{self.audit.arm!r} must have the parts linear and interaction: the audit removes the "
                "first and changes the pooling of the second",
            )
        if self.audit.arm == self.audit.baseline:
            raise Refusal(("audit", "baseline"), "must be another arm than train.audit.arm")
        return self

    @model_validator(mode="after")
    def _require_switches_of_parameters(self) -> "TrainSection":
        own = {name: getattr(self, name) for name in Switchable.model_fields}
        for name, changed in self.audit.switches.items():
            where = ("audit", "switches", name)
            if name in (NO_SWITCH, *MEASURED):
                raise Refusal(where, "the audit already has a switch of this name; choose another")
            if not changed:
                raise Refusal(where, "changes no parameter")
            try:
                switched = Switchable.checked(own | changed)
            except Refusal as refusal:
                raise refusal.below(*where) from None
            if all(getattr(switched, key) == own[key] for key in changed):
                key = next(iter(changed))
                raise Refusal(
                    (*where, key),
                    f"is the study's own train.{key}, so the switch {name!r} changes nothing; give another "
                    "value, or null in place of the switch",
                    changed[key],
                )
        return self


def arms_of(train: Mapping[str, Any], target: Literal["all", "full"]) -> dict[str, dict[str, Any]]:
    """Rows of the target's arms as plain values, those of `all` first, with only what a model depends on."""
    rows: dict[str, dict[str, Any]] = {}
    for own in ("all",) if target == "all" else ("all", "full"):
        for name, given in train["arms"].items():
            row = _imported_row() if IMPORT in given else given
            if row["target"] == own:
                rows[name] = {key: row[key] for key in row if key in ArmModel.model_fields}
    return rows


def imports_of(train: Mapping[str, Any]) -> dict[str, str]:
    """The folder of each imported arm."""
    return {name: row[IMPORT] for name, row in train["arms"].items() if IMPORT in row}


def _imported_row() -> dict[str, Any]:
    """Row of an arm of every run whose model is that of an imported SAE."""
    names = ("target", *ArmModel.model_fields)
    row = {name: getattr(ImportedArm, name) for name in names}
    return row | {"parts": list(ImportedArm.parts)}


def gain_ks(train: Mapping[str, Any]) -> list[int]:
    """The smaller k of the gain curve, ascending; none if `train.k` is 1."""
    shares = train["gain_curve"]["k_shares"]
    return sorted({max(1, round(share * train["k"])) for share in shares} - {train["k"]})


def _require_frozen(
    where: tuple[str, str], arm: ArmConfig | ImportedArm,
    rows: Mapping[str, ArmConfig | ImportedArm],
) -> None:  # fmt: skip
    source = arm.frozen_sae_from
    if source is None:
        return
    if source not in rows or source == where[1] or _copies_or_is_matched(rows[source]):
        raise Refusal(
            (*where, "frozen_sae_from"),
            f"{source!r} must be another arm that trains its own SAE of train.n_latents; arms: "
            f"{', '.join(rows)}",
        )


def _require_matched(
    where: tuple[str, str], arm: ArmConfig | ImportedArm,
    rows: Mapping[str, ArmConfig | ImportedArm],
) -> None:  # fmt: skip
    target = arm.matched_to
    if target is None:
        return
    if target not in rows or target == where[1] or rows[target].matched_to is not None:
        raise Refusal(
            (*where, "matched_to"),
            f"{target!r} must be another arm, of train.n_latents; arms: {', '.join(rows)}",
        )
    source = rows[target].frozen_sae_from or target
    if isinstance(rows.get(source), ImportedArm):
        raise Refusal(
            (*where, "matched_to"),
            f"{target!r} has the size of an imported SAE, which is known only after its folder is read; name "
            "an arm that is trained here",
        )
    if arm.frozen_sae_from is not None:
        raise Refusal(
            (*where, "matched_to"),
            "an arm with a copied SAE has that SAE's size; set one of frozen_sae_from and matched_to to "
            "null",
        )


def _copies_or_is_matched(arm: ArmConfig | ImportedArm) -> bool:
    return arm.frozen_sae_from is not None or arm.matched_to is not None
