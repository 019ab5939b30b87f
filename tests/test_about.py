"""What people say of a model: `about` travels in the recipe, and changes neither an answer nor an older digest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import artifact_pipeline
from artifact_pipeline.artifact.about import AboutRecord
from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping, of_recipe, recipe
from artifact_pipeline.errors import ArtifactRejected, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

THREE = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
ABOUT = {
    "description": "Reads one handwritten digit.\n\nIt was made to show the way.",
    "intended_use": "Teaching.",
    "limits": "Not for cheques.",
    "license": "apache-2.0",
    "authors": ["Ada", "Grace"],
    "contact": "ml@example.org",
}


def test_a_config_without_about_has_the_recipe_that_it_had() -> None:
    """Neither a missing `about` nor null leaves a trace in the recipe, so no digest changes."""
    assert "about" not in recipe(from_mapping(THREE))
    assert recipe(from_mapping({**THREE, "about": None})) == recipe(from_mapping(THREE))


def test_about_comes_back_from_a_recipe() -> None:
    """A recipe has just what was said, and the config that it stands for says the same."""
    config = from_mapping({**THREE, "about": {"limits": "none known", "authors": None}})
    assert recipe(config)["about"] == {"limits": "none known"}
    assert from_mapping(of_recipe(recipe(config))) == config


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({}, "about: must be an object with at least one of description"),
        ({"license": None}, "about: must be an object with at least one of description"),
        ("free", "about: must be an object such as"),
        ({"licence": "mit"}, "about.licence: unknown key, did you mean license?"),
        ({"license": "see the file"}, "about.license: must be an SPDX identifier"),
        ({"description": ""}, "about.description: must be a string of 1 to 4,096 characters"),
        ({"description": "x" * 4097}, "about.description: must be a string of 1 to 4,096 characters"),
        ({"limits": 3}, "about.limits: must be a string"),
        ({"authors": []}, "about.authors: must be an array of 1 to 64 names"),
        ({"authors": ["Ada", 3]}, "about.authors.1: must be a string of 1 to 256 characters, got 3"),
    ],
)
def test_what_about_cannot_say_is_refused(about: Any, words: str) -> None:
    """Each refusal names the key, and what it must be."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({**THREE, "about": about})
    (problem,) = caught.value.problems
    assert problem.message.startswith(words)


def test_about_alone_changes_the_artifact_and_not_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another `about` is trained again: the artifact digest covers it, the model digest stays, and it comes back."""
    artifact = tmp_path / "artifact"
    first = artifact_pipeline.train(THREE, artifact=artifact)
    second = artifact_pipeline.train({**THREE, "about": ABOUT}, artifact=artifact)
    assert second.outcome == "passed"
    assert second.digest != first.digest
    assert second.manifest.model.digest == first.manifest.model.digest
    assert artifact_pipeline.train({**THREE, "about": ABOUT}, artifact=artifact).outcome == "unchanged"
    assert artifact_pipeline.compare(second.folder, first.folder).outcome == "identical"
    assert artifact_pipeline.reproduce(artifact).grade == "bytes"
    assert main(["inspect", str(artifact)]) == 0
    shown = capsys.readouterr().out
    assert "\ndescription: Reads one handwritten digit. It was made to show the way.\n" in shown
    assert "\nauthors: Ada, Grace\n" in shown
    assert "about." not in shown
    assert main(["inspect", str(artifact), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["recipe"]["about"] == ABOUT


@pytest.mark.parametrize("about", ["text", {"author": "me"}, {"license": "a\nb"}, {"authors": "me"}, None, [1]])
def test_an_about_that_no_config_says_is_refused(candidate: Candidate, about: Any) -> None:
    """A manifest from anybody may say anything there; what is none of our fields is refused by its place."""
    forged = replace(candidate.manifest, recipe={**candidate.manifest.recipe, "about": about})
    with pytest.raises(ArtifactRejected) as caught:
        AboutRecord.of(forged)
    assert caught.value.problems[0].place == "manifest.json: recipe.about"
