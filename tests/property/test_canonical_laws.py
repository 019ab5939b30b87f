"""Laws of canonical JSON, of which every digest is made."""

from __future__ import annotations

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from artifact_pipeline.canonical import canonical_json, parse_canonical

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False, width=64) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=16
)
layouts = st.fixed_dictionaries(
    {
        "indent": st.none() | st.integers(0, 3) | st.just("\t\r"),
        "ensure_ascii": st.booleans(),
        "separators": st.tuples(st.sampled_from([",", " ,", ", "]), st.sampled_from([":", ": "])),
    }
)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    """Every value comes back as it was, the kind of each number and the sign of zero included."""
    assert repr(sorted_keys(parse_canonical(canonical_json(value)))) == repr(sorted_keys(value))


def sorted_keys(value: object) -> object:
    """The value with the keys of its objects in order, so that `repr` compares all the rest exactly."""
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(each) for each in value] if isinstance(value, list) else value


@given(st.dictionaries(texts, scalars, min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_a_dict_does_not_matter(value: dict[str, object], random) -> None:
    """Two dicts with the same items have the same bytes, in whatever order they were filled."""
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


@given(values, layouts)
def test_another_layout_of_the_same_value_is_refused(value: object, layout: dict) -> None:
    """Whatever indentation, separators or escapes another writer uses: its bytes are read only if they are ours."""
    data = json.dumps(value, **layout).encode() + b"\n"
    assert reads(data) == (data == canonical_json(value))


@given(values, st.data())
def test_a_changed_byte_never_gives_the_same_value(value: object, data: st.DataObject) -> None:
    """A byte changed, added or taken away is refused, or is the canonical form of another value."""
    before = canonical_json(value)
    at = data.draw(st.integers(0, len(before) - 1))
    after = data.draw(
        st.sampled_from([before[:at] + before[at + 1 :], before[:at] + before[at : at + 1] + before[at:]])
        | st.integers(1, 255).map(lambda mask: before[:at] + bytes([before[at] ^ mask]) + before[at + 1 :])
    )
    assume(after != before)
    if reads(after):
        assert canonical_json(parse_canonical(after)) == after


@given(st.binary() | st.text('[]{}",:0123456789.eE+- \n\tntrufals\\').map(str.encode))
def test_any_bytes_are_refused_in_one_way(data: bytes) -> None:
    """Whatever the bytes are, they are canonical or a `ValueError`, and nothing else."""
    if reads(data):
        assert canonical_json(parse_canonical(data)) == data


def reads(data: bytes) -> bool:
    """Whether the bytes are read at all."""
    try:
        parse_canonical(data)
    except ValueError:
        return False
    return True
