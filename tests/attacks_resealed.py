"""An attacker who seals again: the manifest says what it likes, and every size, digest and binding fits.

Without a digest known from elsewhere such an artifact is as good as a true one, unless it contradicts itself, or
asks for what no artifact may; `attacks.py` says what becomes of it in a store.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import parameter_files
from artifact_pipeline.canonical import canonical_json, digest
from forging import (
    MANIFEST,
    REMOVED,
    attack,
    attack_fields,
    changed,
    manifest_of,
    other_model_1,
    register,
    reseal,
    reseal_fields,
)
from linear_writer import linear_classifier
from onnx_models import HOSTILE, RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The manifest's spelling


def _respell(folder: Path, spelling: Callable[[bytes], bytes]) -> None:
    before = (folder / MANIFEST).read_bytes()
    after = spelling(before)
    assert after != before
    (folder / MANIFEST).write_bytes(after)


def _nested(data: bytes) -> bytes:
    value: Any = 0
    for _ in range(100):
        value = [value]
    return canonical_json(changed(json.loads(data), {"recipe.nested": value}))


def _reversed(data: bytes) -> bytes:
    return json.dumps(dict(reversed(json.loads(data).items())), indent=2).encode() + b"\n"


_FIRST, _NUMBER, _TEXT = b'{\n  "data"', b'"format": 1,', b'"name": "digits"'
_NOT_CANONICAL: dict[str, Callable[[bytes], bytes]] = {
    "key that stands twice": lambda data: data.replace(_NUMBER, _NUMBER + b"\n  " + _NUMBER),
    "second gate before the first": lambda data: data.replace(_FIRST, b'{\n  "gate": null,\n  "data"'),
    "number that is none": lambda data: data.replace(_NUMBER, b'"format": NaN,'),
    "number without end": lambda data: data.replace(_NUMBER, b'"format": -Infinity,'),
    "number that overflows": lambda data: data.replace(_NUMBER, b'"format": 1e999,'),
    "number spelled otherwise": lambda data: data.replace(_NUMBER, b'"format": 1E0,'),
    "minus zero": lambda data: data.replace(b'"ties": 0', b'"ties": -0'),
    "number of 5,000 digits": lambda data: data.replace(_NUMBER, b'"format": ' + b"1" * 5000 + b","),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "sixteen bits a character": lambda data: data.decode().encode("utf-16"),
    "bytes that are no UTF-8": lambda data: data.replace(_TEXT, b'"name": "dig\xffits"'),
    "half a character": lambda data: data.replace(_TEXT, b'"name": "dig\\ud800its"'),
    "escaped character": lambda data: data.replace(_TEXT, b'"name": "digit\\u0073"'),
    "keys in another order": _reversed,
    "everything in one line": lambda data: json.dumps(json.loads(data), separators=(",", ":")).encode(),
    "line ends of Windows": lambda data: data.replace(b"\n", b"\r\n"),
    "space at the end of a line": lambda data: data.replace(b",\n", b", \n", 1),
    "null at the end": lambda data: data + b"\0",
    "second manifest after the first": lambda data: data + data,
    "comment": lambda data: data.replace(_FIRST, b'{ // trusted\n  "data"'),
    "100,000 brackets": lambda _: b"[" * 100_000 + b"]" * 100_000,
    "gigabyte of indentation": lambda _: b"[" * 700 + b"0," * 500_000 + b"0" + b"]" * 700,
    "recipe nested deeper than the bound": _nested,
}
for _name, _spelling in _NOT_CANONICAL.items():
    register(_name, partial(_respell, spelling=_spelling), "manifest-not-canonical")


@attack("manifest-too-large")
def manifest_of_two_megabytes(folder: Path) -> None:
    """The manifest is canonical, and its recipe has two megabytes."""
    reseal(folder, {"recipe.padding": "x" * (2 << 20)})


@attack("manifest-format")
def manifest_that_is_a_list(folder: Path) -> None:
    """The manifest is an empty list."""
    (folder / MANIFEST).write_bytes(b"[]\n")


# The manifest's fields

_RECORD = {"name": "more.bin", "role": "more", "size": 0, "sha256": digest(b"")}
_LARGEST = 64 << 20

attack_fields(
    "manifest-format",
    later_format={"format": 3},
    format_zero={"format": 0},
    format_in_words={"format": "1"},
    format_that_is_true={"format": True},
    format_with_a_point={"format": 1.0},
    format_that_is_null={"format": None},
    format_that_is_a_list={"format": [1]},
    format_of_thirty_digits={"format": 10**30},
    format_that_a_terminal_would_obey={"format": "\x1b[31m1\x1b[0m"},
    no_format={"format": REMOVED},
)
attack_fields(
    "manifest-field",
    # Names
    absolute_name={"files.0.name": "/etc/passwd"},
    name_that_leads_out={"files.0.name": "../model.onnx"},
    name_in_a_subfolder={"files.0.name": "sub/model.onnx"},
    name_with_a_backslash={"files.0.name": "..\\model.onnx"},
    name_of_a_drive={"files.0.name": "c:model.onnx"},
    name_with_a_line_break={"files.0.name": "model.onnx\n"},
    name_that_a_terminal_would_obey={"files.0.name": "\x1b[31mmodel.onnx"},
    name_with_a_null={"files.0.name": "model.onnx\0"},
    name_with_a_leading_dot={"files.0.name": ".model.onnx"},
    name_that_is_the_folder={"files.0.name": "."},
    name_that_is_the_folder_above={"files.0.name": ".."},
    empty_name={"files.0.name": ""},
    name_in_capitals={"files.0.name": "MODEL.ONNX"},
    name_that_turns_the_line_around={"files.0.name": "model\u202exnno"},
    name_of_65_characters={"files.0.name": "m" * 65},
    name_twice={"files.0.name": "split.bin"},
    manifest_that_lists_itself={"files.5": {**_RECORD, "name": MANIFEST}},
    # Roles, sizes and digests
    role_missing={"files.0.role": "model2"},
    record_missing={"files.0": REMOVED},
    role_twice={"files.5": {**_RECORD, "role": "model"}},
    no_files={"files": []},
    hundred_files={"files": [{**_RECORD, "name": f"{index}"} for index in range(100)]},
    size_below_zero={"files.0.size": -1},
    size_in_words={"files.0.size": "5715"},
    size_that_is_true={"files.0.size": True},
    size_with_a_point={"files.0.size": 5715.5},
    size_above_the_bound={"files.0.size": _LARGEST + 1},
    sizes_above_the_bound_together={
        "files.5": {**_RECORD, "name": "a", "size": _LARGEST},
        "files.6": {**_RECORD, "name": "b", "size": _LARGEST},
        "files.7": {**_RECORD, "name": "c", "size": _LARGEST},
        "files.8": {**_RECORD, "name": "d", "size": _LARGEST},
    },
    digest_in_capitals={"files.0.sha256": "sha256:" + "A" * 64},
    digest_of_another_kind={"files.0.sha256": "md5:" + "a" * 32},
    digest_and_a_line_break={"files.0.sha256": "sha256:" + "a" * 64 + "\n"},
    # Values
    field_that_we_do_not_know={"trusted": True},
    field_deep_inside_that_we_do_not_know={"gate.rules.0.waived": True},
    field_name_that_a_terminal_would_obey={"\x1b]0;verified\x07": 1},
    field_missing={"environment": REMOVED},
    negative_count={"metrics.held_out.confusion.0.0": -33},
    count_of_four_hundred_digits={"metrics.held_out.confusion.0.0": 10**400},
    count_beyond_what_a_double_holds={"metrics.held_out.rows": 2**53},
    count_with_a_point={"metrics.held_out.rows": 360.0},
    share_above_one={"metrics.held_out.accuracy.value": 1.5},
    share_of_four_hundred_digits={"metrics.held_out.accuracy.value": 10**400},
    share_below_zero={"gate.rules.0.minimum": -1.0},
    share_in_words={"gate.rules.0.minimum": "0.95"},
    verdict_of_another_kind={"gate.verdict": "waived"},
    metric_of_another_kind={"gate.rules.0.metric": "log_loss"},
    task_of_another_kind={"task": "regression"},
    input_of_another_kind={"model.inputs.0.kind": "text"},
    input_that_may_be_missing={"model.inputs.0.missing": True},
    input_twice={"model.inputs.0.name": "pixel_0_1"},
    no_inputs={"model.inputs": []},
    dtype_of_another_kind={"model.dtype": "float16"},
    classes_of_two_kinds={"model.classes.0": "zero"},
    class_twice={"model.classes.0": 1},
    classes_out_of_order={"model.classes": list(range(9, -1, -1))},
    one_class={"model.classes": [0]},
    data_without_sources={"data.sources": []},
    model_name_that_leads_out={"name": "../digits"},
    recipe_that_is_a_list={"recipe": []},
)

# The gate, resealed

_LABELS = {f"metrics.held_out.classes.{index}.label": index + 1 for index in range(10)}
_STRICTER = {"recipe.gate.min_accuracy": 0.99, "gate.rules.0.minimum": 0.99}
FAILED = {**_STRICTER, "gate.rules.0.passed": False, "gate.verdict": "failed"}
_SHA = digest(b"another")

attack_fields("gate-missing", gate_that_is_null={"gate": None})
attack_fields("gate-missing", "gate-model", no_gate_and_another_model_digest={"gate": None, "model.digest": _SHA})
attack_fields(
    "gate-missing", "gate-held-out", no_gate_and_another_split_digest={"gate": None, "data.split.digest": _SHA}
)
attack_fields("gate-failed", gate_that_failed=FAILED)
attack_fields(
    "gate-verdict",
    failed_gate_that_says_passed={**_STRICTER, "gate.rules.0.passed": False},
    failed_rule_that_says_passed=_STRICTER,
)
attack_fields(
    "gate-failed",
    "gate-verdict",
    passed_gate_that_says_failed={"gate.verdict": "failed"},
    passed_rule_that_says_failed={"gate.rules.0.passed": False, "gate.verdict": "failed"},
)
attack_fields(
    "gate-figures",
    minimum_below_what_the_recipe_asks={"recipe.gate.min_accuracy": 0.99},
    observed_above_what_was_measured={"gate.rules.0.observed": 0.99},
    recipe_without_a_gate={"recipe.gate": REMOVED},
    recipe_whose_gate_is_a_list={"recipe.gate": [0.95]},
    recipe_whose_minimum_is_a_text={"recipe.gate.min_accuracy": "0.95"},
)
attack_fields(
    "gate-rules",
    gate_without_rules={"gate.rules": []},
    gate_without_its_second_rule={"gate.rules.1": REMOVED},
    rules_in_another_order={
        "gate.rules.0": {"metric": "f1_weighted", "minimum": 0.95, "observed": 0.975109, "passed": True},
        "gate.rules.1": {"metric": "accuracy", "minimum": 0.95, "observed": 0.975, "passed": True},
    },
)
attack_fields(
    "gate-model", gate_of_another_model={"gate.model": _SHA}, model_digest_of_another_model={"model.digest": _SHA}
)
attack_fields(
    "gate-held-out",
    gate_on_other_held_out_rows={"gate.held_out": _SHA},
    split_digest_of_another_split={"data.split.digest": _SHA},
)


@attack("gate-model")
def other_model_under_the_old_gate(folder: Path) -> None:
    """The model and its record are another artifact's, and the gate still speaks of the one that it judged."""
    judged = manifest_of(folder)["model"]["digest"]
    reseal(folder, {"gate.model": judged, "model.digest": judged}, model=other_model_1())


@attack("gate-held-out")
def other_split_under_the_old_gate(folder: Path) -> None:
    """The held-out rows are others, as many as before, and the gate was judged on the ones it names."""
    judged = manifest_of(folder)["data"]["split"]["digest"]
    bits = (folder / "split.bin").read_bytes()
    moved = bytes([*bits[:224][::-1], bits[224]])
    reseal(folder, {"gate.held_out": judged, "data.split.digest": judged}, split=moved)


# The figures, resealed

attack_fields(
    "metrics-figures",
    "gate-figures",
    accuracy_above_its_confusion_matrix={"metrics.held_out.accuracy.value": 0.99},
)
attack_fields(
    "metrics-figures",
    accuracy_above_its_confusion_matrix_in_the_gate_too={
        "metrics.held_out.accuracy.value": 0.99,
        "gate.rules.0.observed": 0.99,
    },
    macro_f1_above_its_confusion_matrix={"metrics.held_out.f1_macro": 0.99},
    precision_of_a_class_that_nobody_measured={"metrics.held_out.classes.9.precision": 1.0},
    rows_of_a_class_that_nobody_counted={"metrics.held_out.classes.9.rows": 41},
    confusion_matrix_with_a_row_moved={
        "metrics.held_out.confusion.0.0": 32,
        "metrics.held_out.confusion.0.1": 1,
    },
    confusion_matrix_turned_around={
        "metrics.held_out.confusion.3.5": 0,
        "metrics.held_out.confusion.5.3": 1,
    },
)
attack_fields(
    "metrics-rows",
    confusion_matrix_with_a_row_more={"metrics.held_out.confusion.0.0": 34},
    confusion_matrix_of_huge_counts={"metrics.held_out.confusion.0.0": 2**53 - 1},
    other_count_of_held_out_rows={"metrics.held_out.rows": 361},
    other_count_of_training_rows={"metrics.training.rows": 1436},
    other_count_of_all_rows={"metrics.all.rows": 360},
)
attack_fields(
    "metrics-confusion",
    confusion_matrix_without_a_row={"metrics.held_out.confusion.9": REMOVED},
    confusion_matrix_without_a_cell={"metrics.held_out.confusion.9.9": REMOVED},
    confusion_matrix_that_is_empty={"metrics.held_out.confusion": []},
)
attack_fields(
    "metrics-classes",
    figures_of_other_classes=_LABELS,
    figures_of_nine_classes={"metrics.held_out.classes.9": REMOVED},
)


# The model, resealed


def _hostile_model(folder: Path, build: Callable[[], bytes]) -> None:
    """A model that asks for more than we write, under fitting digests."""
    reseal(folder, model=build())


for _name, _build in HOSTILE.items():
    if _name != "larger_than_the_bound":  # the manifest refuses its size: `size above the bound`
        register(f"hostile model: {_name}", partial(_hostile_model, build=_build), RULES[_name])


@attack("model-shape", "model-classes")
def model_of_two_features(folder: Path) -> None:
    """The model is one that we write, for other rows than the manifest says."""
    reseal(folder, model=linear_classifier([[1.0, 2.0]], [0.0], [0, 1], dtype="float32", name="small"))


@attack("model-classes")
def model_of_other_classes(folder: Path) -> None:
    """The model answers 1 to 10, and the manifest says 0 to 9."""
    reseal(folder, model=linear_classifier([[0.0] * 64] * 10, [0.0] * 10, range(1, 11), dtype="float32", name="digits"))


@attack("model-shape")
def model_of_another_dtype(folder: Path) -> None:
    """The model takes float64, and the manifest says float32."""
    reseal(folder, model=linear_classifier([[0.0] * 64] * 10, [0.0] * 10, range(10), dtype="float64", name="digits"))


attack_fields(
    "model-classes",
    "parameters-classes",
    classes_that_are_not_the_models={"model.classes": list(range(1, 11)), **_LABELS},
)
attack_fields(
    "model-shape",
    dtype_that_is_not_the_models={"model.dtype": "float64"},
    input_shape_that_is_not_the_models={"model.shape": [None, 65]},
    fixed_number_of_rows={"model.shape": [1, 64]},
    output_that_the_model_does_not_have={"model.outputs.1.name": "confidence"},
    output_missing={"model.outputs.1": REMOVED},
)
attack_fields(
    "model-shape",
    "parameters-shape",
    "reference-features",
    "selftest-shape",
    input_missing={"model.inputs.63": REMOVED},
)


@attack("parameters-invalid", "reference-invalid", "selftest-invalid", "onnx-field", "split-rows")
def roles_exchanged(folder: Path) -> None:
    """Each file has the role of another."""
    roles = ["parameters", "reference", "selftest", "split", "model"]
    manifest = manifest_of(folder)
    for record, role in zip(manifest["files"], roles, strict=True):
        record["role"] = role
    (folder / MANIFEST).write_bytes(canonical_json(manifest))
    reseal(folder)


# The parameters, resealed


def _other_parameters(folder: Path, build: Callable[[], bytes]) -> None:
    """Another file of parameters under fitting digests."""
    reseal(folder, parameters=build())


for _name, _build in parameter_files.HOSTILE.items():
    register(f"parameters: {_name}", partial(_other_parameters, build=_build), "parameters-invalid")
for _name, (_rule, _build) in parameter_files.OTHERS.items():
    register(f"parameters: {_name}", partial(_other_parameters, build=_build), _rule)


# The split, resealed


@attack("split-count")
def split_with_a_row_more(folder: Path) -> None:
    """One more row is called held out."""
    bits = bytearray((folder / "split.bin").read_bytes())
    at = next(index for index, byte in enumerate(bits) if not byte & 1)
    bits[at] |= 1
    reseal(folder, split=bytes(bits))


@attack("split-count")
def split_without_a_held_out_row(folder: Path) -> None:
    """Every row is called a training row."""
    reseal(folder, split=bytes(225))


@attack("split-rows")
def split_that_is_a_byte_short(folder: Path) -> None:
    """Eight rows have no bit."""
    reseal(folder, split=(folder / "split.bin").read_bytes()[:-1])


@attack("split-rows")
def split_that_marks_rows_which_are_not_there(folder: Path) -> None:
    """A held-out row is hidden: its bit stands behind the last row, so that the count still fits."""
    bits = bytearray((folder / "split.bin").read_bytes())
    bits[-1] |= 0b1000_0000
    at = next(index for index, byte in enumerate(bits) if byte & 1)
    bits[at] &= ~1
    reseal(folder, split=bytes(bits))


attack_fields(
    "split-rows",
    "metrics-rows",
    "reference-rows",
    other_number_of_training_rows_in_the_split={"data.split.training": 1438},
)
attack_fields("split-rows", "metrics-rows", other_number_of_rows_in_the_data={"data.sources.0.rows": 1798})
attack_fields("split-rows", rows_that_are_said_to_be_feedback={"data.sources.0.name": "feedback"})


# The golden rows and the reference, resealed

attack_fields(
    "selftest-invalid",
    file="selftest.json",
    later_format={"format": 2},
    no_rows={"rows": [], "labels": [], "probabilities": []},
    probability_above_one={"probabilities.0.0": 2.0},
    probability_in_words={"probabilities.0.0": "0.5"},
    value_in_words={"rows.0.0": "0.0"},
    value_of_four_hundred_digits={"rows.0.0": 10**400},
    own_tolerance={"tolerance": 1.0},
    thousands_of_rows={"rows": [[0.0]] * 1025},
)
attack_fields(
    "selftest-shape",
    file="selftest.json",
    row_that_is_short={"rows.0.63": REMOVED},
    row_more={"rows.16": [0.0] * 64},
    label_missing={"labels.0": REMOVED},
    probability_missing={"probabilities.0.9": REMOVED},
)
attack_fields(
    "selftest-labels",
    file="selftest.json",
    label_that_is_no_class={"labels.0": 10},
    label_in_words={"labels.0": "0"},
    label_of_thirty_digits={"labels.0": 10**30},
)
attack_fields(
    "selftest-values",
    file="selftest.json",
    value_that_overflows_float32={"rows.0.0": 1e300},
    value_that_float32_does_not_have={"rows.0.0": 0.1},
)
attack_fields(
    "reference-invalid",
    file="reference.json",
    later_format={"format": 2},
    no_features={"features": []},
    negative_count={"labels.0": -1},
    count_of_four_hundred_digits={"labels.0": 10**400},
    field_that_we_do_not_know={"note": ""},
)
attack_fields(
    "reference-features",
    file="reference.json",
    of_another_feature={"features.0.name": "pixel_9_9"},
    of_features_in_another_order={"features.0.name": "pixel_0_1", "features.1.name": "pixel_0_0"},
    of_a_feature_less={"features.63": REMOVED},
)
attack_fields("reference-labels", "reference-counts", file="reference.json", of_a_class_less={"labels.9": REMOVED})
attack_fields(
    "reference-bins",
    file="reference.json",
    edge_without_a_count={"features.0.edges": [0.0, 1.0]},
    edges_that_descend={"outputs.confidence.edges": [index / 10 for index in range(9, -1, -1)]},
    edge_twice={"outputs.confidence.edges.1": 0.0},
)
attack_fields(
    "reference-counts",
    file="reference.json",
    rows_that_nobody_counted={"outputs.labels.0": 0},
    features_that_nobody_counted={"features.0.counts.0": 0},
)
attack_fields(
    "reference-rows",
    "reference-counts",
    file="reference.json",
    of_other_training_rows={"rows": 1436},
    of_other_held_out_rows={"outputs.rows": 0},
)


@attack("selftest-invalid")
def selftest_that_holds_a_key_twice(folder: Path) -> None:
    """The golden rows stand there twice, and which ones count depends on the reader."""
    data = (folder / "selftest.json").read_bytes()
    reseal(folder, selftest=data.replace(_NUMBER, _NUMBER + b"\n  " + _NUMBER))


@attack("reference-invalid")
def reference_of_seventeen_megabytes(folder: Path) -> None:
    """The reference is so large that only to parse it takes half a gigabyte."""
    reseal(folder, reference=b"[" + b"[]," * (6 << 20) + b"[]]")


@attack("reference-invalid")
def reference_nested_without_end(folder: Path) -> None:
    """Arrays are nested deeper than any stack."""
    reseal(folder, reference=b"[" * 100_000)


# Found by the predictor alone: every digest fits, every shape too


@attack("selftest-answers", by="replay")
def model_that_always_says_seven(folder: Path) -> None:
    """The model is another one under fitting digests, and the golden answers are still those of the first."""
    reseal(folder, model=other_model_1(7))


@attack("selftest-answers", by="replay")
def golden_label_of_another_class(folder: Path) -> None:
    """The golden rows ask for a label that the model does not give."""
    labels = json.loads((folder / "selftest.json").read_bytes())["labels"]
    reseal_fields(folder, {"labels.0": (labels[0] + 1) % 10}, "selftest.json")


@attack("selftest-answers", by="replay")
def golden_probability_a_little_off(folder: Path) -> None:
    """A golden probability is wrong in the fifth decimal."""
    told = json.loads((folder / "selftest.json").read_bytes())["probabilities"][0][0]
    reseal_fields(folder, {"probabilities.0.0": round(told + (3e-5 if told < 0.5 else -3e-5), 6)}, "selftest.json")
