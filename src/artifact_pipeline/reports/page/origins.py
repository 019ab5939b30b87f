"""Where a model is from, and how to prove it: data, recipe, environment, provenance, commands; a receipt's drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.provenance import Statement
from artifact_pipeline.canonical import dotted
from artifact_pipeline.errors import plural
from artifact_pipeline.reports.page.parts import MAX_LISTED, Cell, Commands, DataTable, Section, more, short
from artifact_pipeline.reports.statements import reproduce_command, verdict_of
from artifact_pipeline.reports.tables import environment_rows, shown_comparison

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.prediction.receipt import Receipt
    from artifact_pipeline.reports.page.parts import Row


def section(artifact: Verified) -> Section:
    """Return recipe, data, environment and provenance."""
    manifest = artifact.manifest
    statement = Statement.of(artifact)
    pairs = [*_made(manifest), *(_claims(statement) if statement is not None else ())]
    recipe = dotted(manifest.recipe)
    listed = list(recipe.items())[:MAX_LISTED]
    blocks = [
        DataTable("Data and model", ("", ""), tuple(pairs)),
        DataTable(
            "Recipe",
            ("key", "value"),
            tuple((short(key), short(str(value), 120)) for key, value in listed),
            note=more(len(recipe), len(listed), "keys"),
            folded=True,
        ),
        DataTable("Environment", ("part", "version"), tuple(environment_rows(manifest.environment)), folded=True),
        DataTable(
            "Files",
            ("file", "bytes", "SHA-256"),
            tuple((each.name, f"{each.size:,}", Cell(each.sha256, look="digest")) for each in manifest.files),
            folded=True,
        ),
    ]
    claim = "The provenance beside the artifact is a claim; a signature proves who made it." if statement else ""
    return Section("origins", "Where it is from", tuple(filter(None, (claim,))), tuple(blocks))


def _made(manifest: Manifest) -> Iterator[Row]:
    model, data = manifest.model, manifest.data
    yield "estimator", model.estimator
    for source in data.sources:
        yield f"rows, {short(source.name, 30)}", Cell(f"{source.rows:,} rows, {source.digest}", look="digest")
    yield "target", short(data.target)
    yield "split", f"{plural(data.split.training, 'training row')}, {data.split.held_out:,} held out"
    yield "split digest", Cell(data.split.digest, look="digest")
    yield "model digest", Cell(model.digest, look="digest")


def _claims(statement: Statement) -> Iterator[Row]:
    """What the provenance says; nothing of it was checked."""
    run = statement.predicate.run_details
    yield "made on", run.metadata.started_on
    yield "made by", short(run.builder.id, 120)
    source = statement.source
    if source is not None:
        commit = source.digest.get("gitCommit") or source.digest.get("sha1") or ""
        yield "commit", Cell(short(f"{commit} {source.uri}".strip(), 160), look="digest")
    yield "the held-out rows were looked at", plural(statement.internal.looks, "time")


def champion(artifact: Verified) -> Section | None:
    """Return the comparison with a champion that the provenance records; None where there was none."""
    statement = Statement.of(artifact)
    found = statement.internal.comparison if statement is not None else None
    if found is None or found.candidate != artifact.manifest.model.digest:
        return None
    shows = shown_comparison(found)
    counted = f"{shows.counts}, over {plural(found.rows, 'held-out row')}"
    text = f"{shows.meaning.capitalize()}: {counted}. The champion is {found.champion}."
    table = DataTable(f"Comparison: {found.outcome}", tuple(shows.header), tuple(map(tuple, shows.rows)))
    return Section("champion", "Beside its champion", (text,), (table,))


def drift(receipt: Receipt) -> Section:
    """Return what the receipt of a prediction says of drift; it holds the worst that was found."""
    rows = receipt.rows
    counted = (
        f"{rows.read:,} rows read, {rows.written:,} answered, {rows.rejected:,} rejected, {rows.out_of_range:,} out of "
        "range"
    )
    labels = DataTable(
        "Answers of this run",
        ("label", "rows"),
        tuple((short(each.label, 40), f"{each.rows:,}") for each in receipt.labels[:MAX_LISTED]),
        note=more(len(receipt.labels), min(len(receipt.labels), MAX_LISTED), "labels"),
        folded=True,
    )
    found = receipt.drift
    tested = found.get("tested") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(tested, int) or not tested:
        return Section("drift", "Drift", (f"{counted}. Drift was not judged.",), (labels,))
    worst = [each for each in _list(found.get("worst")) if isinstance(each, dict)]
    text = f"{counted}. Drifted in {len(_list(found.get('drifted'))):,} of {plural(tested, 'respect')}."
    table = DataTable(
        "The largest differences from the training data",
        ("what", "effect", "p", "verdict", "largest change"),
        tuple(tuple(_shift(each)) for each in worst[:MAX_LISTED]),
    )
    return Section("drift", "Drift", (text,), (table, labels))


def _list(value: object) -> list[object]:
    """The value where it is a list, else an empty one: a receipt may come from anyone."""
    return value if isinstance(value, list) else []


def _shift(each: dict[str, object]) -> Iterator[str | Cell]:
    yield short(each.get("name", ""))
    for key, form in (("effect", ".3f"), ("p", ".1e")):
        value = each.get(key)
        yield format(value, form) if isinstance(value, int | float) else ""
    yield Cell("drifted", look="bad") if each.get("drifted") is True else Cell("", look="good")
    yield short(each.get("change", ""), 120)


def commands(artifact: Verified) -> Section:
    """Return how to prove what the page says, with the commands to type."""
    manifest = artifact.manifest
    reproduce = reproduce_command(manifest, table="TABLE")
    dataset = manifest.recipe.get("dataset")
    data = " --data TABLE" if isinstance(dataset, dict) or dataset == "packaged" else ""
    failed = "" if verdict_of(manifest) == "passed" else " --accept-failed-gate"
    verify = f"artifact-pipeline verify artifact --expect {artifact.digest}{failed}"
    lines = (
        ("every byte, and that it is this artifact", verify),
        *([("train it again, and compare", reproduce)] if reproduce is not None else []),
        ("this page again", f"artifact-pipeline report artifact{data}"),
        ("use it", f"artifact-pipeline predict{failed} new.csv -o predictions.parquet"),
    )
    return Section("proof", "Prove it", ("In the folder that holds the artifact.",), (Commands(lines),))
