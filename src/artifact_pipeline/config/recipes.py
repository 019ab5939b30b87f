"""What is made from a config: plain values, and the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.config.models import LogisticRegression
from artifact_pipeline.config.preparing import Preparation
from artifact_pipeline.config.schema import SHORT_FORMS, Config
from artifact_pipeline.config.searching import Search
from artifact_pipeline.config.sections import Gate, OptionalInRecipe, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def plain(config: Config) -> dict[str, Any]:
    """Return the config as a plain dict, ready for JSON, with every default.

    A LogisticRegression and a random split stand in their short form, whichever form the file had.
    """
    values = config.model_dump()
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "model":
            if value is not None:
                found |= value if isinstance(config.model, LogisticRegression) else {name: value}
        elif name == "split":
            found |= {key: value[key] for key in SHORT_FORMS[name]} if config.split.by == "random" else {name: value}
        else:
            found[name] = value
    found.pop("estimator", None)
    return found


def recipe(config: Config) -> dict[str, Any]:
    """Return the resolved config without any path, ready for JSON: equal trainings have equal recipes.

    How the candidate is compared with a champion is no part of it: that decides where the model goes, not what it is.
    """
    values = plain(config)
    del values["feedback"]  # paths; the rows stand in the manifest's data
    for key in ("champion", "margin", "on_inconclusive"):
        del values["gate"][key]
    _leave_out_defaults(values["gate"], Gate)
    _leave_out_defaults(values, Config)
    if config.search is not None:
        _leave_out_defaults(values["search"], Search)
    if config.about is not None:
        values["about"] = config.about.model_dump(exclude_none=True)
    if isinstance(config.model, LogisticRegression):
        _leave_out_defaults(values, LogisticRegression)
    if config.preprocess == "none":
        del values["preprocess"]
    elif isinstance(config.preprocess, Preparation):
        values["preprocess"] = config.preprocess.short
    if "split" in values:
        values["split"] = config.split.model_dump(exclude={"path"}, exclude_defaults=True)
        if config.split.by != "held_out":
            values["split"]["test_size"] = config.split.test_size
    if isinstance(config.dataset, Table):
        given = config.dataset.model_dump(exclude={"path"})
        values["dataset"] = {key: names for key, names in given.items() if names is not None}
    return values


def _leave_out_defaults(values: dict[str, Any], kind: type[BaseModel]) -> None:
    """Remove the keys that are marked `OptionalInRecipe` and have their default."""
    for name, field in kind.model_fields.items():
        if OptionalInRecipe() in field.metadata and values[name] == field.default:
            del values[name]


def of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config's values that a recipe stands for; a key that it lacks has the default of its own time."""
    gate = recipe.get("gate")
    gates = {"gate": {"beats_baseline": False, **gate}} if isinstance(gate, dict) else {}
    return {"preprocess": "none", **recipe, **gates}
