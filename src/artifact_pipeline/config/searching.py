"""The config's section `search`: how many trials are drawn from which spaces, and how they are scored and chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field

from artifact_pipeline.config.sections import STRICT, MustBe, OptionalInRecipe
from artifact_pipeline.config.space import draw

if TYPE_CHECKING:
    import numpy as np

SearchMetric = Literal["accuracy", "balanced_accuracy", "f1_weighted", "f1_macro", "log_loss", "brier", "roc_auc"]
QUICK: dict[str, Any] = {
    "trials": 24,
    "rounds": "halving",
    "space": [
        {"estimator": "LogisticRegression", "C": {"log_uniform": [1e-3, 100.0]}, "max_iter": 1000},
        {"estimator": "SVC", "C": {"log_uniform": [0.1, 100.0]}},
        {
            "estimator": "ExtraTreesClassifier",
            "n_estimators": {"int": [100, 300]},
            "min_samples_leaf": {"choice": [1, 2, 5]},
        },
        {
            "estimator": "HistGradientBoostingClassifier",
            "learning_rate": {"log_uniform": [0.03, 0.3]},
            "max_leaf_nodes": {"int": [7, 31]},
        },
    ],
}
"""What `"search": "quick"` stands for; the recipe holds it, so that another version's default changes no artifact."""


class Search(BaseModel):
    """How models are drawn, scored by cross-validation on the training rows, and chosen."""

    model_config = STRICT

    trials: Annotated[
        int,
        Field(ge=1, le=100_000, title="Trials", description="How many models are drawn; 1 where there is no space."),
        MustBe("a whole number from 1 to 100,000"),
    ] = 40
    folds: Annotated[
        int,
        Field(ge=2, le=100, title="Folds", description="In how many parts the training rows are scored."),
        MustBe("a whole number from 2 to 100"),
    ] = 5
    repeats: Annotated[
        int,
        Field(ge=1, le=100, title="Repeats", description="How often the rows are folded, each time in another way."),
        MustBe("a whole number from 1 to 100"),
    ] = 1
    seed: Annotated[
        int,
        # Each repeat folds by the next seed, and scikit-learn takes 32 bits.
        Field(ge=0, le=2**31 - 1, title="Seed", description="Decides what is drawn, and how the rows are folded."),
        MustBe("a whole number of at least 0"),
    ] = 0
    metric: Annotated[
        SearchMetric,
        Field(title="Metric", description="What is computed on each fold, by scikit-learn's function."),
        MustBe(f"one of {', '.join(get_args(SearchMetric))}"),
    ] = "accuracy"
    rounds: Annotated[
        Literal["none", "halving"],
        Field(
            title="Rounds",
            description="none fits every trial on all rows; halving fits all trials on few rows, and the best third of "
            "them on three times as many, until the rows are all.",
        ),
        MustBe("one of none, halving"),
    ] = "none"
    select: Annotated[
        Literal["best", "one_se"],
        Field(
            title="Select",
            description="best takes the best mean; one_se the simplest model within one standard error of it.",
        ),
        MustBe("one of best, one_se"),
    ] = "best"
    stop: Annotated[
        int | None,
        Field(
            ge=1,
            title="Stop",
            description="After how many results the search ends; `train --minutes` writes it into the artifact.",
        ),
        MustBe("a whole number of at least 1, or null"),
        OptionalInRecipe(),
    ] = None
    space: Annotated[
        list[dict[str, Any]] | None,
        Field(
            min_length=1,
            title="Space",
            description="The models to draw from: each as `model` has it, with ranges in the place of values, and "
            "perhaps `preprocess`. Null scores the config's own model.",
        ),
        MustBe("an array of at least one object with estimator, or null", each="an object with estimator"),
        OptionalInRecipe(),
    ] = None

    def draw(self, random: np.random.Generator) -> dict[str, Any]:
        """Return a model that is drawn from the space, as the config's sections `model` and perhaps `preprocess`."""
        assert self.space is not None
        return draw(self.space, random)
