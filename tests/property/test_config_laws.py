"""Laws of the config and of the parser that knows places."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.config import Config, Table, from_mapping, json_schema, load_config, recipe
from artifact_pipeline.config.estimators import NEAREST, WRITTEN
from artifact_pipeline.config.jsontext import JsonTextError, has_lone_surrogate, parse, shown
from artifact_pipeline.config.models import MANY_CLASS_SOLVERS
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.training.estimators import faults, resolved

REQUIRED = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
VALIDATOR = jsonschema.Draft202012Validator(json_schema())

any_text = st.text(st.characters())  # lone surrogates too, which JSON can escape
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
hostile_values = st.one_of(
    json_values,
    any_text,
    st.sampled_from([10**400, -(10**400), "digits", "liblinear", "saga", {}, {"path": "a.csv", "target": "b"}]),
    st.dictionaries(st.sampled_from(["path", "target", "min_f1", "min_accuracy"]) | any_text, scalars, max_size=3),
)
keys = st.sampled_from([*Config.model_fields, "$schema"]) | any_text
layouts = st.fixed_dictionaries(
    {
        "indent": st.none() | st.integers(0, 3) | st.just("\t\r"),
        "ensure_ascii": st.booleans(),
        "separators": st.tuples(st.sampled_from([",", " ,", ", "]), st.sampled_from([":", "\n: "])),
    }
)
shares = st.floats(0, 1)


def by_label(values):
    """An object with a value for each of some labels."""
    return st.dictionaries(st.text(max_size=256), values, min_size=1, max_size=4)


configs = st.builds(
    dict,
    C=st.floats(0, exclude_min=True, allow_infinity=False) | st.integers(1, 10**18),
    solver=st.sampled_from(MANY_CLASS_SOLVERS),
    max_iter=st.integers(1, 2**31 - 1),
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    dataset=st.just("digits") | st.builds(dict, path=st.text("ab./", min_size=1), target=st.text(min_size=1)),
    test_size=st.floats(0, 1, exclude_min=True, exclude_max=True),
    random_state=st.integers(0, 2**32 - 1),
    stratify=st.booleans(),
    tol=st.floats(0, allow_infinity=False),
    class_weight=st.none() | st.just("balanced") | by_label(st.floats(0, 1e300, exclude_min=True)),
    fit_intercept=st.booleans(),
    penalty=st.just("l2"),
    gate=st.builds(dict, min_accuracy=shares, min_f1=shares)
    | st.builds(dict, min_f1=shares, min_f1_macro=st.none() | shares, min_recall=st.none() | shares | by_label(shares)),
)


names = st.sampled_from([*WRITTEN, *NEAREST, "RandomForest"])
parameters = st.dictionaries(
    st.sampled_from(["C", "solver", "n_estimators", "max_depth", "alpha", "class_weight", "weights", "n_jobs"])
    | any_text,
    hostile_values,
    max_size=3,
)
models = st.recursive(
    st.builds(lambda name, rest: {"estimator": name, **rest}, names, parameters),
    lambda inner: st.builds(
        lambda parts, rest: {"estimator": "VotingClassifier", "estimators": parts, **rest},
        st.dictionaries(st.text(max_size=5) | st.just("a__b"), inner, max_size=3),
        parameters,
    ),
    max_leaves=4,
)
words = st.sampled_from(["random", "hash", "group", "time", "held_out", "impute_mean", "pca", "one_hot", "ordinal"])
parts = st.dictionaries(
    st.sampled_from(
        ["by", "key", "column", "path", "test_size", "stratify", "number", "category", "step", "indicator"]
    ),
    words | st.lists(words | st.builds(dict, step=words, indicator=scalars), max_size=3) | hostile_values,
    max_size=3,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """One file for all examples of a law."""
    return tmp_path_factory.mktemp("laws") / "config.json"


def named(value, message, above=""):
    """The values whose dotted key a message begins with: a label may hold dots and colons itself."""
    for key, inner in value.items():
        if message.startswith(f"{above}{shown(key)}:"):
            yield inner
        if isinstance(inner, dict):
            yield from named(inner, message, f"{above}{shown(key)}.")


def outcome(function, *arguments):
    """What a function returns, or the refusal that it raises."""
    try:
        return function(*arguments)
    except (ConfigError, JsonTextError) as error:
        return error


def written(file, text, *options):
    """The config of a text, or its error."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return outcome(load_config, file, options)


@given(key=keys, value=hostile_values)
@example(key="\ud800", value=1)
@example(key="name", value="\ud800")
def test_any_value_loads_or_is_refused(file, key, value):
    """Any JSON value at any key loads or raises ConfigError, and what loads is good for the schema and the manifest."""
    found = written(file, json.dumps({**REQUIRED, key: value}))
    if isinstance(found, Config):
        VALIDATOR.validate({**REQUIRED, key: value})
        assert canonical_json(recipe(found))
    else:
        lines = [str(problem) for problem in found.problems]
        assert lines
        assert all(line.isprintable() and len(line) < 2000 for line in lines)
        assert all(re.match(re.escape(str(file)) + r":\d+:\d+: ", line) for line in lines)


@given(model=models | hostile_values, split=parts | hostile_values, preprocess=parts | words | hostile_values)
@example(model={"estimator": "GaussianNB"}, split={"by": "hash"}, preprocess="auto")
def test_any_sections_load_or_are_refused(file, model, split, preprocess):
    """Any model, split and preprocess loads or is refused at a line and column; what loads is its own recipe again."""
    values = {"model": model, "split": split, "preprocess": preprocess}
    file.write_bytes(json.dumps(values).encode("utf-8", "surrogatepass"))
    found = outcome(lambda: resolved(load_config(file, check=faults)))
    if isinstance(found, Config):
        VALIDATOR.validate(values)
        again = json.loads(canonical_json(recipe(found)))
        if found.split.by == "held_out":
            again["split"]["path"] = found.split.path
        assert resolved(from_mapping(again, check=faults)) == found
    else:
        lines = [str(problem) for problem in found.problems]
        assert lines
        assert all(line.isprintable() and len(line) < 2000 for line in lines)
        assert all(re.match(re.escape(str(file)) + r":\d+:\d+: ", line) for line in lines)


@given(key=keys, value=hostile_values)
def test_any_value_by_hand_is_checked_or_refused(key, value):
    """Any such value in a dict given by hand is checked or raises ConfigError."""
    found = outcome(from_mapping, {**REQUIRED, key: value})
    if isinstance(found, Config):
        assert canonical_json(recipe(found))
    else:
        assert {problem.place for problem in found.problems} == {"config"}
        assert all(str(problem).isprintable() for problem in found.problems)


@given(data=st.binary(max_size=40) | st.text('{}[]":,.-+eE019 CtrueNa\n\\/*').map(str.encode))
def test_any_bytes_load_or_are_refused(file, data):
    """Any bytes in the place of a config raise ConfigError and nothing else; so short ones are never a config."""
    file.write_bytes(data)
    with pytest.raises(ConfigError):
        load_config(file)


@given(option=st.text() | st.builds("{}={}".format, keys | st.just("gate.min_f1"), any_text))
def test_any_option_is_applied_or_refused(file, option):
    """Any text as an option is applied or raises ConfigError at that option, in printable words.

    The keys of the short form are problems too, where an option names the section that they stand for.
    """
    found = written(file, json.dumps(REQUIRED), option)
    if isinstance(found, Config):
        assert canonical_json(recipe(found))
    else:
        places = {problem.place for problem in found.problems}
        beside = {each.place for each in found.problems if "beside model it must be written" in each.message}
        assert places - beside == {f"-S {shown(option)}"}
        assert not beside or option.partition("=")[0].partition(".")[0] == "model"
        assert all(str(problem).isprintable() for problem in found.problems)


@given(values=configs, layout=layouts)
def test_recipe_round_trip(file, values, layout):
    """Good values load in every layout, and the recipe, with the path put back, is the same config again."""
    config = written(file, json.dumps(values, **layout))
    assert isinstance(config, Config)
    again = json.loads(canonical_json(recipe(config)))
    if isinstance(config.dataset, Table):
        again["dataset"]["path"] = config.dataset.path
    assert from_mapping(again) == config
    assert canonical_json(recipe(from_mapping(again))) == canonical_json(recipe(config))


@given(number=st.integers(1, 2**53))
def test_spellings_of_a_number_are_one_recipe(file, number):
    """A whole C gives the same recipe with and without a point."""
    spellings = [written(file, json.dumps({**REQUIRED, "C": each})) for each in (number, float(number))]
    assert len({canonical_json(recipe(each)) for each in spellings}) == 1


@given(values=configs)
def test_options_mean_what_the_file_means(file, values):
    """Every key as an option gives the config that the same key in the file gives."""
    file.write_text(json.dumps(REQUIRED))
    options = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    assert load_config(file, options) == from_mapping(values)


@given(values=st.dictionaries(keys, hostile_values, max_size=6), layout=layouts)
def test_place_points_at_what_is_named(file, values, layout):
    """The place of each problem is that of the value or key it names, or of the object around a missing key."""
    text = json.dumps(values, **layout)
    found = written(file, text)
    for problem in found.problems if isinstance(found, ConfigError) else ():
        if problem.rule in {"lone-surrogate", "not-utf-8"}:
            continue  # these come before the keys are known
        line, column = map(int, problem.place.removeprefix(f"{file}:").split(":"))
        rest = "\n".join(text.split("\n")[line - 1 :])[column - 1 :]
        there, _ = json.JSONDecoder().raw_decode(rest)
        if problem.rule == "missing-key":
            assert isinstance(there, dict)
        elif problem.rule == "unknown-key":
            assert problem.message.partition(": unknown key")[0].endswith(shown(there))
        else:
            assert repr(there) in map(repr, named(values, problem.message))


@given(value=st.dictionaries(any_text, json_values, max_size=4), layout=layouts)
def test_spans_hold_their_values(value, layout):
    """The text at each span is the value at its path, and at each key's place its key stands."""
    text = json.dumps(value, **layout)
    if has_lone_surrogate(json.dumps(value, ensure_ascii=False)):
        with pytest.raises(JsonTextError) as caught:
            parse(text)
        assert caught.value.rule == "lone-surrogate"
        return
    document = parse(text)
    for path, (start, end) in document.spans.items():
        inner = document.value
        for key in path:
            inner = inner[key]
        assert repr(json.loads(text[start:end])) == repr(inner)
    for path, offset in document.keys.items():
        assert json.JSONDecoder().raw_decode(text, offset)[0] == path[-1]


@given(value=json_values, layout=layouts)
def test_parser_agrees_on_json(value, layout):
    """Our parser and Python's give the same value for every JSON text."""
    text = json.dumps(value, **layout)
    assert repr(parse(text).value) == repr(json.loads(text))


@given(
    value=json_values,
    at=st.floats(0, 1),
    cut=st.integers(0, 3),
    put=st.text(st.sampled_from('{}[]":,.-+eE01 \\u/*\n\x0b\u0661n'), max_size=3),
)
@example(value="\ud800", at=0, cut=0, put="")
def test_parser_agrees_on_almost_json(value, at, cut, put):
    """On a text with a slip in it, both give the same value or both refuse; ours refuses lone surrogates, too."""
    text = json.dumps(value)
    start = int(at * len(text))
    text = text[:start] + put + text[start + cut :]
    found = outcome(parse, text)
    try:
        expected = repr(json.loads(text))
    except ValueError:
        assert isinstance(found, JsonTextError)
        return
    if isinstance(found, JsonTextError):
        assert found.rule == "lone-surrogate"
        assert re.search(r"\\ud[89a-f]", text, re.IGNORECASE)
    else:
        assert repr(found.value) == expected
