"""The classifiers of a config beside scikit-learn's: are the parameters what it takes, and how is one made?

scikit-learn holds the constraints of each parameter as data, by which it refuses a wrong value in the fit. They are
read here, so that a config is refused before any row is read, and so that each version's own constraints count.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.models import KINDS, NESTED_KEYS
from artifact_pipeline.config.problems import Fault, by_label, suggestion
from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.training.constraints import Constraints, tuples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.config import Config
    from artifact_pipeline.config.jsontext import KeyPath

_RESERVED = {
    "random_state": "the random_state of the config reaches every estimator",
    "n_jobs": "`train --jobs` says how many fit the parts of a model, whose bytes do not depend on it",
    "verbose": "it prints, and changes nothing of the model",
    "warm_start": "every fit starts from nothing, so that the same config gives the same bytes",
}
"""Parameters that no config sets, and why."""
_NO_PROBABILITY = "scikit-learn has deprecated it, and CalibratedClassifierCV around the classifier gives probabilities"
_NOT_ALLOWED = {
    ("HistGradientBoostingClassifier", "categorical_features"): "the kinds of the columns decide it",
    ("VotingClassifier", "flatten_transform"): "it changes nothing of the model",
    ("LogisticRegressionCV", "use_legacy_attributes"): "it changes nothing of the model",
    ("KNeighborsClassifier", "algorithm"): "each row is compared with all training rows",
    ("KNeighborsClassifier", "leaf_size"): "each row is compared with all training rows",
    ("SVC", "probability"): _NO_PROBABILITY,
    ("NuSVC", "probability"): _NO_PROBABILITY,
}
"""Parameters of one estimator that no config sets, and why."""
_OUR_DEFAULTS: dict[str, dict[str, Any]] = {
    "LogisticRegressionCV": {"scoring": None, "l1_ratios": (0.0,), "use_legacy_attributes": False},
    "VotingClassifier": {"voting": "soft"},
    # One leaf of all rows: distances to the last bit, where the default loses some, and no order but that of the rows.
    "KNeighborsClassifier": {"algorithm": "kd_tree", "leaf_size": 2**31 - 1},
}
"""What we set where a config does not: scikit-learn warns that some defaults will change, and means these today."""
_DEPRECATED = "deprecated"
"""What scikit-learn writes as the default of a parameter that it is about to remove."""


def faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what scikit-learn would refuse of a config's `model`, as it was written, and its type does not refuse."""
    yield from _model_faults(values.get("model"), ("model",))


def _model_faults(model: object, path: KeyPath) -> Iterator[Fault]:
    name = model.get("estimator") if isinstance(model, Mapping) else None
    # The type LogisticRegression checks its own keys, and refuses what has no name or an unknown one.
    if not isinstance(model, Mapping) or not isinstance(name, str) or name not in WRITTEN:
        return
    if name == "LogisticRegression":
        return
    constraints = Constraints.of(estimator_class(name))
    for key, value in model.items():
        if key == "estimator":
            continue
        here = (*path, key)
        if name in KINDS and key in {"estimators", *NESTED_KEYS}:
            yield from _inner_faults(name, key, value, here)
        elif words := _refused_key(name, key, constraints):
            yield Fault(here, "unknown-key", words)
        else:
            yield from _value_faults(constraints, key, value, here)


def _inner_faults(name: str, key: str, value: object, path: KeyPath) -> Iterator[Fault]:
    """Yield what scikit-learn would refuse of the classifiers in a classifier."""
    if not isinstance(value, Mapping):
        return  # its type refuses it
    if key == "estimators":
        for inner, part in value.items():
            yield from _model_faults(part, (*path, inner))
        return
    yield from _model_faults(value, path)
    base = value.get("estimator")
    if name == "AdaBoostClassifier" and base in WRITTEN and not _takes_weights(base):
        yield Fault((*path, "estimator"), "not-allowed", "a classifier whose rows may have weights", value=base)


def _takes_weights(name: str) -> bool:
    """Whether the fit of a classifier takes a weight for each row."""
    return "sample_weight" in signature(estimator_class(name).fit).parameters


def not_allowed(name: str) -> list[str]:
    """Return the parameters of a classifier that no config sets, but for those that none ever sets."""
    constraints = Constraints.of(estimator_class(name))
    return [
        key for key in _plain_keys(name, constraints) if key not in _RESERVED and _refused_key(name, key, constraints)
    ]


def parameter_schemas(name: str) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each parameter that a config may set, but for those that hold other classifiers."""
    constraints = Constraints.of(estimator_class(name))
    constraints = replace(constraints, defaults=constraints.defaults | _OUR_DEFAULTS.get(name, {}))
    allowed = [key for key in _plain_keys(name, constraints) if not _refused_key(name, key, constraints)]
    return {key: constraints.schema(key) for key in allowed}


def _plain_keys(name: str, constraints: Constraints) -> list[str]:
    """Return the parameters of a classifier that hold no other classifier."""
    inner = {"estimators", "estimator", "final_estimator"} if name in KINDS else set()
    return [key for key in constraints.names if key not in inner]


def _refused_key(name: str, key: str, constraints: Constraints) -> str:
    """Return why a config may not have this key, as a message has it; empty where it may."""
    if key in _RESERVED:
        return f"no key of a config: {_RESERVED[key]}"
    if (name, key) in _NOT_ALLOWED:
        return f"no key of a config: {_NOT_ALLOWED[name, key]}"
    allowed = [
        "base_estimator" if each == "estimator" else each
        for each in constraints.names
        if each not in _RESERVED and (name, each) not in _NOT_ALLOWED
    ]
    if key not in constraints.names:
        return f"{name} has no such parameter{suggestion(key, allowed) or ', it has ' + ', '.join(sorted(allowed))}"
    if constraints.defaults[key] == _DEPRECATED:
        return "scikit-learn has deprecated it"
    if not constraints.alternatives(key):
        return "no key of a config: it takes an object of Python, which JSON cannot write"
    return ""


def _value_faults(constraints: Constraints, key: str, value: object, path: KeyPath) -> Iterator[Fault]:
    alternatives = constraints.alternatives(key)
    if any(each.takes(value) for each in alternatives):
        return
    wanted = constraints.words(key)
    rule, meant = "wrong-type", ""
    if isinstance(value, float) and not math.isfinite(value):
        rule = "not-finite"
    elif isinstance(value, int) and not isinstance(value, bool) and any(each.has_type_of(1) for each in alternatives):
        rule = "out-of-range"
    elif any(each.has_type_of(value) for each in alternatives):
        rule = "not-allowed" if isinstance(value, str) else "out-of-range"
        if isinstance(value, str):
            meant = suggestion(value, [option for each in alternatives for option in each.options])
    elif isinstance(value, float) and value.is_integer() and any(each.has_type_of(int(value)) for each in alternatives):
        meant = ", which has a point or an exponent"
    yield Fault(path, rule, wanted, meant, value)


def estimator_class(name: str) -> Any:
    """Return the class of scikit-learn that a config names, one of `WRITTEN`."""
    return getattr(import_module(f"sklearn.{WRITTEN[name].module}"), name)


def resolved(config: Config) -> Config:
    """Return the config without what is scikit-learn's default, and with each number as its parameter's type writes it.

    So two configs of one training have one recipe. The config must have passed `faults`. A space stays as it is.
    """
    if config.model is None or config.model.estimator == "LogisticRegression":
        return config
    plain = _plain(config.model.model_dump())
    return config.model_copy(update={"model": type(config.model).model_validate(plain)})


def _plain(model: Mapping[str, Any]) -> dict[str, Any]:
    name = model["estimator"]
    if name == "LogisticRegression":
        return dict(model)
    constraints = Constraints.of(estimator_class(name))
    settled = constraints.defaults | _OUR_DEFAULTS.get(name, {})
    found: dict[str, Any] = {"estimator": name}
    for key, value in model.items():
        if key == "estimators":
            found[key] = {inner: _plain(part) for inner, part in value.items()}
        elif key in NESTED_KEYS:
            if value is not None:
                found[key] = _plain(value)
        elif key != "estimator":
            written = constraints.canonical(key, value)
            usual = constraints.canonical(key, settled[key])
            if (type(tuples(written)), tuples(written)) != (type(usual), usual):
                found[key] = written
    return found


def build(config: Config, labels: Sequence[int | str]) -> Any:
    """Return the unfitted estimator that a config names, with its random state in every part.

    Raises:
        ConfigError: `class_weight` names a label that no row has, or the solver cannot learn so many classes.
    """
    assert config.model is not None
    place = "" if config.model.estimator == "LogisticRegression" else "model."
    return _build(config.model.model_dump(), config.random_state, labels, place)


def _build(model: Mapping[str, Any], random_state: int, labels: Sequence[int | str], place: str) -> Any:
    name = model["estimator"]
    parameters = _OUR_DEFAULTS.get(name, {}) | {
        key: tuples(value) for key, value in model.items() if key != "estimator"
    }
    if "estimators" in parameters:
        parameters["estimators"] = [
            (key, _build(part, random_state, labels, f"{place}estimators.{key}."))
            for key, part in model["estimators"].items()
        ]
    for key in NESTED_KEYS:
        if (part := parameters.pop(key, None)) is not None:
            parameters[key.removeprefix("base_")] = _build(part, random_state, labels, f"{place}{key}.")
    if isinstance(weights := parameters.get("class_weight"), dict):
        parameters["class_weight"] = by_label(f"{place}class_weight", weights, labels)
    if parameters.get("solver") == "liblinear" and len(labels) > 2:
        message = f"{place}solver: liblinear fits two classes, these rows have {len(labels)}"
        raise ConfigError(
            "the solver cannot learn these rows",
            problems=[Problem("config", "not-allowed", message)],
            hint="use lbfgs, newton-cg, newton-cholesky, sag or saga",
        )
    kind = estimator_class(name)
    if "random_state" in kind._parameter_constraints:  # noqa: SLF001 - that is where scikit-learn says it
        parameters["random_state"] = random_state
    with warnings.catch_warnings():
        # PassiveAggressiveClassifier: it is deprecated, and does what it did as long as scikit-learn has it.
        warnings.filterwarnings("ignore", "Class .* is deprecated", FutureWarning)
        return kind(**parameters)
