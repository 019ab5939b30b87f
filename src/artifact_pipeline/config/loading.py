"""From a file and options, or from a dict given by hand, to a `Config`."""

from __future__ import annotations

import codecs
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from artifact_pipeline.config.jsontext import Document, JsonTextError, has_lone_surrogate, parse, printable, shown
from artifact_pipeline.config.problems import Origin, Spot, find, refusal, shown_value
from artifact_pipeline.config.refusals import problem_of
from artifact_pipeline.config.schema import SCHEMA_KEY, SHORT_FORMS, Config
from artifact_pipeline.config.space import in_space, instances, range_faults, spaces_of
from artifact_pipeline.files import read_bounded, reason_of
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from artifact_pipeline.config.jsontext import KeyPath
    from artifact_pipeline.config.problems import Fault, PlacedProblem

    Check = Callable[[Mapping[str, Any]], Iterable[Fault]]
    """Finds by other rules than the types' own what is wrong with a config's values, such as by scikit-learn's."""

_MAX_BYTES = 65_536
"""Size of a config file; a real one has a few hundred bytes."""


def _no_check(_: Mapping[str, Any]) -> Iterable[Fault]:
    return ()


def load_config(
    path: Path, overrides: Sequence[str] = (), *, check: Check = _no_check, data: bytes | None = None
) -> Config:
    """Read a config file; `overrides` such as `gate.min_f1=0.9` win over it, the later over the earlier.

    The value of an override is JSON; what is no JSON is taken as a string. A relative `dataset.path`,
    `split.path` or `gate.champion` of the file starts at the file's folder, one of an override at the working folder.
    `data` is what the file holds, where it has been read.

    Raises:
        ConfigError: with every problem; a text that is no JSON has one.
    """
    origins = [_read(path, data)]
    values, problems = _values(origins[0])
    _start_paths_at(path.parent, values)
    _override_all(values, origins, problems, overrides)
    return _checked(values, origins, problems, check)


def from_mapping(values: Mapping[str, object], overrides: Sequence[str] = (), *, check: Check = _no_check) -> Config:
    """Check a dict given by hand; `C`, `solver` and `max_iter` are enough.

    `overrides` win over it, as in `load_config`; a relative path starts at the working folder.

    Raises:
        ConfigError: with every problem; the place of each is `config`.
    """
    origin = Origin("config")
    own, origins = dict(values), [origin]
    problems = _take_schema_key(own, origin)
    _override_all(own, origins, problems, overrides)
    return _checked(own, origins, problems, check)


def with_model(config: Config, sections: Mapping[str, Any]) -> Config:
    """Return the config of a training of one model that was drawn from the space of a search.

    Args:
        config: the config of the search.
        sections: the values of `model`, and perhaps of `preprocess`.

    Raises:
        ConfigError: the types refuse them, such as an L1 penalty with a solver that has none.
    """
    return from_mapping({**dict(config), "search": None, **sections})


def _override_all(
    values: dict[str, Any], origins: list[Origin], problems: list[PlacedProblem], overrides: Sequence[str]
) -> None:
    """Write each override into `values`, and what is wrong with one into `problems`."""
    for number, option in enumerate(overrides, 1):
        name = f"-S {shown(option)}"
        try:
            origins.append(_override(option, values, name=name, number=number))
        except JsonTextError as error:
            problems.append(Spot(Origin(name, number)).problem(error.rule, str(error)))


def _checked(values: dict[str, Any], origins: Sequence[Origin], problems: list[PlacedProblem], check: Check) -> Config:
    """Return the config that `values` are, or raise an error with all their problems and those of their origins."""
    found = [*problems, *(twice for origin in origins for twice in origin.duplicate_keys())]
    config = None
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        short = SHORT_FORMS.keys() - values.keys()
        found += [problem_of(each, origins, short=short) for each in error.errors(include_url=False)]
    found += [fault.problem_in(origins) for fault in check(values)]
    for path, space in spaces_of(values):
        found += _space_problems(values, path, space, origins, check=check)
    if config is None or found:
        raise refusal(found)
    return config


def _space_problems(
    values: Mapping[str, Any], path: KeyPath, space: Mapping[str, Any], origins: Sequence[Origin], *, check: Check
) -> list[PlacedProblem]:
    """Return the problems of one space of a search: of its ranges, or else of the models at their ends."""
    if faults := list(range_faults(space, path)):
        return [fault.problem_in(origins) for fault in faults]
    others = {key: value for key, value in values.items() if key in {"dataset", "split"}}
    found: list[PlacedProblem] = []
    for sections, place in instances(space, path):
        try:
            Config.model_validate(others | sections)
        except ValidationError as error:
            wrong = [each for each in error.errors(include_url=False) if each["loc"][0] in sections]
            found += [problem_of(each, origins, place=place) for each in wrong]
        found += [in_space(fault, place).problem_in(origins) for fault in check(sections)]
    return list(dict.fromkeys(found))


def _values(file: Origin) -> tuple[dict[str, Any], list[PlacedProblem]]:
    """Return a file's keys and values, and the problem of its `$schema`."""
    root = file.document.value if file.document else None
    if not isinstance(root, dict):
        spot = find((), [file])
        message = f"must be an object in braces, got {shown_value(root, spot.written)}"
        raise refusal([spot.problem("not-an-object", message)])
    values = dict(root)
    return values, _take_schema_key(values, file)


def _take_schema_key(values: dict[str, Any], origin: Origin) -> list[PlacedProblem]:
    """Remove `$schema`, which is for editors; anything but a string is refused, as the JSON Schema says."""
    schema = values.pop(SCHEMA_KEY, "")
    if isinstance(schema, str):
        return []
    spot = find((SCHEMA_KEY,), [origin])
    return [spot.problem("wrong-type", f"{SCHEMA_KEY}: must be a string, got {shown_value(schema, spot.written)}")]


def _start_paths_at(folder: Path, values: dict[str, Any]) -> None:
    """Let a relative path of a section start at the config's folder."""
    for section, key in (("dataset", "path"), ("split", "path"), ("gate", "champion")):
        table = values.get(section)
        # Anything else is left for the types to refuse.
        if isinstance(table, dict) and isinstance(path := table.get(key), str) and path:
            found = storage.artifact_place(path) if key == "champion" else Path(path)
            values[section] = {**table, key: str(folder / found if isinstance(found, Path) else found)}
    if isinstance(files := values.get("feedback"), list):
        values["feedback"] = [
            str(folder / path) if isinstance(path, str) and path and not storage.is_url(path) else path
            for path in files
        ]


def _override(option: str, values: dict[str, Any], *, name: str, number: int) -> Origin:
    """Write one option, such as `gate.min_f1=0.9`, into `values`.

    Raises:
        JsonTextError: it has another form, or a value that is refused before the types see it.
    """
    key, equals, text = option.partition("=")
    keys = tuple(key.split("."))
    if not (equals and all(keys)) or has_lone_surrogate(key):
        raise JsonTextError(0, "syntax", "must be KEY=VALUE, such as max_iter=500")
    document = _json_or_string(text)
    top = keys
    section = values
    for depth, each in enumerate(keys[:-1], 1):
        inner = section.get(each)
        if not isinstance(inner, dict):
            top = min(top, keys[:depth], key=len)
            inner = {}
        section[each] = dict(inner)
        section = section[each]
    section[keys[-1]] = document.value
    return Origin(name, number, document=document, base=keys, top=top)


def _json_or_string(text: str) -> Document:
    """Parse a value of the command line as JSON, or else take it as a string."""
    try:
        return parse(text)
    except JsonTextError as error:
        if error.rule != "syntax":
            raise
        return parse(json.dumps(text, ensure_ascii=False))


def _read(path: Path, data: bytes | None) -> Origin:
    """Read a config file, unless that has been done, and parse it."""
    name = _relative(path)
    text = _decode(_read_bytes(path, Origin(name)) if data is None else data, Origin(name))
    try:
        return Origin(name, text=text, document=parse(text))
    except JsonTextError as error:
        raise refusal([Spot(Origin(name, text=text), error.offset).problem(error.rule, str(error))]) from None


def _decode(data: bytes, file: Origin) -> str:
    if data.startswith(codecs.BOM_UTF8):
        raise refusal([Spot(file).problem("byte-order-mark", "starts with a byte order mark")])
    # UTF-16 and UTF-32 write a JSON text with many null bytes, UTF-8 writes it with none.
    if b"\0" in data:
        raise refusal([Spot(file).problem("not-utf-8", "is not UTF-8 text, but UTF-16 or no text at all")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        spot = Spot(Origin(file.name, text=before), len(before))
        raise refusal([spot.problem("not-utf-8", f"the byte 0x{data[error.start]:02x} is not UTF-8")]) from None
    if not text.strip():
        raise refusal([Spot(file).problem("empty-file", "is empty")])
    return text


def _read_bytes(path: Path, file: Origin) -> bytes:
    try:
        return read_bounded(path, _MAX_BYTES)
    except FileNotFoundError:
        rule, reason = "missing-file", "does not exist"
    except OSError as error:
        rule, reason = "unreadable", f"cannot be read: {reason_of(error)}"
    except ValueError as error:  # no regular file, too large, or a name with a NUL in it
        rule = "too-large" if "larger" in str(error) else "unreadable"
        reason = "has a NUL in its name" if "\0" in str(path) else f"is {error}"
    raise refusal([Spot(file).problem(rule, reason)])


def _relative(path: Path) -> str:
    """Return the path as messages show it: relative to the working folder if it lies inside, else as given."""
    # It may lie outside; or there may be no working folder any more.
    with contextlib.suppress(ValueError, OSError):
        path = path.absolute().relative_to(Path.cwd())
    return printable(str(path))
