"""The model card: metadata that the Hub of Hugging Face reads, and a page of Markdown for people.

A function of the artifact alone, so that two processes write the same bytes. What comes from the artifact is escaped:
in the metadata by `yaml_text`, on the page by `markdown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.about import AboutRecord
from artifact_pipeline.errors import listing, plural
from artifact_pipeline.reports.markdown import (
    baseline,
    confusion_table,
    environment_table,
    escape,
    figures_table,
    gate_table,
    prose,
    table,
)
from artifact_pipeline.reports.statements import held_out_figures, recipe_of, reproduce_command, text_of, verdict_of
from artifact_pipeline.reports.tables import CLASSES, class_rows
from artifact_pipeline.reports.yaml_text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.reports.statements import StatedFigure
    from artifact_pipeline.reports.yaml_text import Value

TASK = "tabular-classification"
_TYPES = {"f1_weighted": "f1", "f1_macro": "f1", "brier": "brier_score"}
"""The Hub's name of a metric, where it is another than ours."""
_MOST = 100
"""Columns, or keys of the recipe, that are listed at most."""
_HUB_LICENCES = (
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-4.0 cc-by-nc-sa-4.0 "
    "cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 "
    "epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa "
    "odbl ofl-1.1 osl-3.0 pddl postgresql unlicense wtfpl zlib"
)
"""The licences that the Hub knows, by its names."""
_HUB_NAMES = {"odbl-1.0": "odbl", "pddl-1.0": "pddl"}
_NOT_SAID = "The config of this model does not say it."


def model_card(verified: Verified) -> str:
    """Return the card of a verified artifact, as `README.md` in a repository of the Hub has it.

    Raises:
        ArtifactRejected: what the artifact says about its model cannot be read.
    """
    about = AboutRecord.of(verified.manifest)
    page = "\n\n".join(_parts(verified, about))
    return f"---\n{yaml_text(_metadata(verified, about))}---\n\n{page}\n"


def _metadata(verified: Verified, about: AboutRecord) -> dict[str, Value]:
    manifest = verified.manifest
    metrics: list[dict[str, str | float]] = [
        {"type": _TYPES.get(each.name, each.name), "name": _figure_name(each), "value": each.value}
        for each in held_out_figures(manifest)
    ]
    source = manifest.data.sources[0]
    result: Value = {
        "task": {"type": TASK, "name": "Tabular classification"},
        "dataset": {
            "type": source.name,
            "name": source.name,
            "split": "held out",
            "args": {"digest": source.digest, "rows": manifest.metrics.held_out.rows},
        },
        "metrics": metrics,
    }
    return {
        **_licence(about.license),
        "library_name": "onnx",
        "pipeline_tag": TASK,
        "tags": [
            TASK,
            "scikit-learn",
            "onnx",
            "artifact-pipeline",
            manifest.model.estimator.rpartition(".")[2] or "classifier",
        ],
        "metrics": list(dict.fromkeys(each["type"] for each in metrics)),
        "model-index": [{"name": manifest.name, "results": [result]}],
    }


def _licence(name: str | None) -> dict[str, str]:
    """What a card's metadata says of a licence: by the Hub's own name, or as `other` with its name."""
    if name is None:
        return {}
    short = name.lower().removesuffix("-only").removesuffix("-or-later")
    short = _HUB_NAMES.get(short, short)
    return {"license": short} if short in _HUB_LICENCES.split() else {"license": "other", "license_name": name.lower()}


def _figure_name(figure: StatedFigure) -> str:
    interval = "" if figure.low is None else f", 95 % interval {figure.low:.4f} to {figure.high:.4f}"
    return f"{figure.name} on held-out rows{interval}"


def _parts(verified: Verified, about: AboutRecord) -> Iterator[str]:
    """Yield the page's paragraphs, headings and tables."""
    manifest = verified.manifest
    held_out = manifest.metrics.held_out
    yield f"# {escape(manifest.name)}"
    yield from prose(about.description or "")
    yield _summary(verified)
    yield "## Intended use"
    yield from prose(about.intended_use or _NOT_SAID)
    yield "## Limits"
    yield from prose(about.limits or _NOT_SAID)
    yield from _measured_limits(manifest)
    yield f"## Metrics, {plural(held_out.rows, 'held-out row')}"
    yield figures_table(manifest)
    yield baseline(held_out)
    yield "### By class"
    yield table(CLASSES, class_rows(held_out.classes[:_MOST], escape)) + _more(len(held_out.classes))
    yield "### Confusion matrix"
    yield confusion_table(manifest.model.classes, held_out.confusion)
    yield f"### Gate: {verdict_of(manifest)}"
    yield gate_table(manifest)
    yield from _data(manifest)
    yield "## Training"
    yield from _training(manifest)
    yield from _use(verified)
    yield from _people(about)


def _summary(verified: Verified) -> str:
    manifest = verified.manifest
    rows = [
        ["task", f"classification, {plural(len(manifest.model.classes), 'class')}"],
        ["estimator", escape(manifest.model.estimator)],
        ["gate", verdict_of(manifest)],
        ["artifact digest", f"`{verified.digest}`"],
        ["model digest", f"`{manifest.model.digest}`"],
    ]
    return table(["what", "value"], rows)


def _measured_limits(manifest: Manifest) -> Iterator[str]:
    """Yield how far the figures hold, and a warning where the gate did not pass."""
    rows = plural(manifest.metrics.held_out.rows, "held-out row")
    yield (
        f"The figures hold for rows like the {rows}, and for no others. `artifact-pipeline predict` compares new rows "
        "with the training rows, and says where they have drifted."
    )
    if verdict_of(manifest) != "passed":
        yield "**The model did not pass its gate.** `predict` and `serve` refuse it."


def _data(manifest: Manifest) -> Iterator[str]:
    data, columns = manifest.data, manifest.model.columns
    yield "## Data"
    yield table(
        ["source", "rows", "digest", "by"],
        [[escape(each.name), f"{each.rows:,}", f"`{each.digest}`", escape(each.algorithm)] for each in data.sources],
    )
    counts = f"{plural(data.split.training, 'training row')}, {data.split.held_out:,} held out"
    yield (
        f"The target is {escape(data.target)}; {counts}. The artifact holds no row: to train again, one needs the rows "
        "with this digest."
    )
    rows = [
        [escape(each.name), each.kind, "yes" if each.nullable else "no", listing([*map(escape, each.levels)])]
        for each in columns[:_MOST]
    ]
    yield f"### {plural(len(columns), 'column')}"
    yield table(["column", "kind", "may be missing", "levels"], rows) + _more(len(columns))


def _training(manifest: Manifest) -> Iterator[str]:
    recipe = recipe_of(manifest)
    rows = [[escape(key), escape(text_of(value))] for key, value in list(recipe.items())[:_MOST]]
    yield table(["recipe", "value"], rows) + _more(len(recipe))
    if manifest.model.iterations is not None:
        word = "converged" if manifest.model.converged else "did **not** converge"
        yield f"The solver {word} in {plural(manifest.model.iterations, 'iteration')}."
    yield environment_table(manifest.environment)


def _more(count: int) -> str:
    return f"\n\nThe first {_MOST} of {count:,}." if count > _MOST else ""


def _use(verified: Verified) -> Iterator[str]:
    failed = verdict_of(verified.manifest) != "passed"
    option, argument = (" --accept-failed-gate", "\n    accept_failed_gate=True,") if failed else ("", "")
    reproduce = reproduce_command(verified.manifest, table="rows.csv")
    lines = [
        f"artifact-pipeline verify artifact --expect {verified.digest}{option}",
        f"artifact-pipeline predict new.csv -o predictions.parquet --artifact artifact{option}",
        *([reproduce] if reproduce is not None else []),
    ]
    yield "## Verify, use, reproduce"
    yield (
        "The artifact is a folder of files, and no pickle is among them. Its digest covers each of them, so the first "
        "line proves that you have the model of this card; take the digest from somewhere else than the artifact."
    )
    yield "```sh\n" + "\n".join(lines) + "\n```"
    yield (
        f'```python\nimport artifact_pipeline\n\nmodel = artifact_pipeline.open_artifact(\n    "artifact",\n'
        f'    expect="{verified.digest}",{argument}\n)\nmodel.predict(rows)\n```'
    )


def _people(about: AboutRecord) -> Iterator[str]:
    texts = {
        "Authors": ", ".join(map(escape, about.authors)),
        "Contact": escape(about.contact or ""),
        "Licence": escape(about.license or ""),
    }
    rows = [[name, text] for name, text in texts.items() if text]
    if rows:
        yield "## Authors and licence"
        yield table(["what", "value"], rows)
