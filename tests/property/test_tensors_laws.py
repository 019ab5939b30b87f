"""Laws of the inference request: whatever bytes come, they are refused in one way or answered rightly."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from artifact_pipeline.errors import DataRejected
from artifact_pipeline.serving import coding
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.tensors import inference_response, parse_inference
from asking import DIGITS, FORMS, FRAMINGS, Asked, answered, ask, open_digits
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.training.sealed import Candidate

N = settings().max_examples
"""How often a law is tried that is quick to try: the profile says it."""
WHOLE = 2**53 - 1
NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    **{f"FP{bits}": st.floats(allow_nan=False, allow_infinity=False, width=bits) for bits in (16, 32, 64)},
    **{f"INT{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)},
    "INT64": st.integers(-WHOLE, WHOLE),
    **{f"UINT{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 32)},
    "UINT64": st.integers(0, WHOLE),
}


@pytest.fixture(scope="module")
def served(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return open_digits(candidate, tmp_path_factory.mktemp("laws"))


def outcome(asked: Asked, served: Served) -> str | dict[str, Any]:
    """What an answer says, or why there is none; nothing else can happen."""
    try:
        inference = parse_inference(asked.body, asked.length, served)
        answers = served.predictor.predict(inference.rows.X)
    except Refusal as refused:
        return words(refused, {400, 413})
    except DataRejected as rejected:
        return rejected.problems[0].message
    response = inference_response(inference, answers.labels, answers.probabilities, served)
    told = answered(response.body, {name.decode(): value.decode() for name, value in response.headers})
    X = meant(asked)
    assert taken(inference.rows.X, served) == taken(X, served)
    right = served.predictor.predict(X)
    expected = {"label": right.labels, "probabilities": right.probabilities}
    for output in told["outputs"]:
        assert np.array_equal(told[output["name"]], expected[output["name"]])
    return told


def taken(X: NDArray[Any], served: Served) -> bytes:
    """Rows as the model takes them."""
    with np.errstate(over="ignore"):
        return X.astype(served.predictor.dtype).tobytes()


def words(refused: Refusal, statuses: set[int]) -> str:
    """What a refusal says: nothing that a terminal would obey."""
    assert refused.status in statuses
    assert refused.message.isascii()
    assert refused.message.isprintable()
    return refused.message


def meant(asked: Asked) -> NDArray[Any]:
    """The rows of a request that is good, read as slowly and as plainly as it can be."""
    length = len(asked.body) if asked.length is None else int(asked.length)
    head, tail = asked.body[:length], asked.body[length:]
    told = json.loads(head.decode(), object_pairs_hook=once)
    (tensor,) = told["inputs"]
    shape, form = tensor["shape"], np.dtype(FORMS[tensor["datatype"]])
    assert tensor["name"] == "X"
    assert shape[1:] in ([64], [8, 8])
    size = (tensor.get("parameters") or {}).get("binary_data_size")
    if "data" not in tensor:
        assert size == len(tail)
        values = np.frombuffer(tail, form)
    else:
        assert size is None
        assert tail == b""
        values = np.array(tensor["data"], dtype=np.float64)
        assert values.shape in {tuple(shape), (shape[0] * 64,)}
        values = values.astype(form)
    return values.reshape(shape[0], 64)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@st.composite
def rows_of(draw: st.DrawFn) -> tuple[str, NDArray[Any]]:
    """A datatype, and up to three rows of any numbers that it has."""
    datatype = draw(st.sampled_from(list(FORMS)))
    kind = draw(st.sampled_from(["digits", "any"]))
    if kind == "digits":
        start, count = draw(st.integers(0, 1790)), draw(st.integers(1, 3))
        return datatype, DIGITS.X[start : start + count].astype(FORMS[datatype])
    shape = (draw(st.integers(1, 3)), 64)
    return datatype, draw(arrays.arrays(FORMS[datatype], shape, elements=NUMBERS[datatype]))


@settings(max_examples=3 * N // 2)
@given(rows_of(), st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.none())
@example(("FP32", np.full((1, 64), 3.4028234663852886e38, dtype="<f4")), None)
@example(("FP64", np.full((1, 64), 1.7976931348623157e308)), "a:b")
@example(("FP64", np.full((1, 64), 5e-324)), '"\\')
@example(("FP32", np.full((2, 64), -0.0, dtype="<f4")), "")
def test_all_framings_give_the_same_answer(served: Served, rows: tuple[str, NDArray[Any]], id_: str | None) -> None:
    """Any finite rows have one answer in JSON flat, nested and by squares and in bytes, or one refusal."""
    datatype, X = rows
    found = [outcome(ask(X, datatype, framing), served) for framing in FRAMINGS]
    if isinstance(found[0], str) and found[0].startswith("the model takes FP32: a whole number must be at most "):
        assert found == [found[0]] * len(FRAMINGS)
        assert np.issubdtype(X.dtype, np.integer)
        assert (np.abs(X.astype(np.float64)) > 2**24).any()
        return
    if isinstance(found[0], str):
        assert found == [found[0]] * len(FRAMINGS)
        assert found[0].startswith(("a row holds a value ", "row "))
        return
    for asked in [ask(X, datatype, framing, id=id_) for framing in FRAMINGS]:
        inference = parse_inference(asked.body, asked.length, served)
        assert taken(inference.rows.X, served) == taken(X, served)
        assert inference.id == id_
    assert all(told["outputs"] == found[0]["outputs"] for told in found)


@settings(max_examples=3 * N // 2)
@given(rows_of(), st.sampled_from(["gzip", "deflate", "X-GZIP", " gzip "]), st.integers(0, 9))
def test_packing_changes_nothing(rows: tuple[str, NDArray[Any]], encoding: str, cut: int) -> None:
    """What is packed is unpacked to what it was, up to the very bound and no byte beyond it, and never from a part."""
    body = ask(rows[1], rows[0]).body
    packed, headers = coding.encode(body, encoding.strip().lower().removeprefix("x-").encode())
    assert dict(headers)[b"content-encoding"].decode() in encoding.lower()
    assert coding.decode(packed, encoding, len(body)) == body
    for bad, limit, status in (
        (packed, len(body) - 1, 413),
        (packed[: len(packed) - 1 - cut], len(body), 400),
        (packed + bytes(1 + cut), len(body), 400),
    ):
        with pytest.raises(Refusal) as caught:
            coding.decode(bad, encoding, limit)
        assert caught.value.status == status


@given(st.binary(), st.sampled_from(["gzip", "deflate", "identity", "br", "", "gzip, gzip", "\x1b[2J", "é"]))
def test_any_bytes_are_unpacked_or_refused(body: bytes, encoding: str) -> None:
    """No bytes and no name of an encoding do anything but give bytes within the bound or a refusal in plain words."""
    try:
        assert len(coding.decode(body, encoding, 1000)) <= 1000
    except Refusal as refused:
        words(refused, {400, 413, 415})


lengths = st.none() | st.integers(-5, 400).map(str) | st.text(max_size=20) | st.integers().map(str)


@given(st.binary(max_size=400), lengths)
def test_any_bytes_are_refused(served: Served, body: bytes, length: str | None) -> None:
    """No bytes and no header do anything but be refused."""
    assert isinstance(outcome(Asked(body, length), served), str)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 512)
    | st.sampled_from([64, 8, 256, 2**53, 2**63, 2**64, 10**30, "X", "FP32", "FP64", "INT64", "label", "probabilities"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
)


@settings(max_examples=3 * N)
@given(st.sampled_from(list(FORMS)), st.sampled_from(FRAMINGS), st.data())
def test_any_value_in_any_place_is_refused_or_answered(
    served: Served, datatype: str, framing: str, data: st.DataObject
) -> None:
    """A request with any members replaced by anything is refused, or answered for the rows that it has."""
    more = {"outputs": [{"name": "label", "parameters": {"binary_data": True}}], "id": "1", "parameters": {}}
    asked = ask(DIGITS.X[:1], datatype, framing, **more)
    length = len(asked.body) if asked.length is None else int(asked.length)
    told = json.loads(asked.body[:length])
    (tensor,) = told["inputs"]
    for _ in range(data.draw(st.integers(1, 2))):
        holders = [told, tensor, told["outputs"][0], tensor.get("parameters")]
        holder = data.draw(st.sampled_from([each for each in holders if isinstance(each, dict)]))
        names = st.sampled_from([*holder, "data", "parameters", "binary_data_size", "classification", "x"])
        holder[data.draw(names)] = data.draw(values)
        if not isinstance(told["outputs"], list) or not told["outputs"] or not isinstance(told["outputs"][0], dict):
            told["outputs"] = [{}]
    head = json.dumps(told).encode()
    told_length = None if asked.length is None and data.draw(st.booleans()) else str(len(head))
    outcome(Asked(head + asked.body[length:], told_length), served)


# Mutations


Edit = tuple[int, int, int, int]
"""Its kind, where, how much, and of what."""
PIECES = (b"0", b"1", b"-", b".", b"e9", b",", b":", b'"', b"\\", b"[", b"]", b"{", b"}", b" ", b"\0", b"\xff", b'"X"')
"""What is put in."""
edits = st.tuples(st.integers(0, 4), st.integers(0), st.integers(0, 600), st.integers(0, 255))


def edited(body: bytes, changes: Sequence[Edit]) -> bytes:
    """Bytes flipped, set, cut out, put in and doubled."""
    for kind, where, size, what in changes:
        at = where % (len(body) + 1)
        end = min(len(body), at + size)
        old = body[at:end]
        new = (
            bytes([old[0] ^ 1 << what % 8]) + old[1:] if kind == 0 and old else b"",
            bytes([what]) + old[1:],
            b"",
            PIECES[what % len(PIECES)] + old,
            old + old,
        )[kind]
        body = body[:at] + new + body[end:]
    return body


def mutated(asked: Asked, changes: Sequence[Edit], shift: int) -> Asked:
    """A request whose bytes are changed, and the told length of whose JSON is moved along or wrong."""
    body = edited(asked.body, changes)
    return Asked(body, None if asked.length is None else str(max(0, int(asked.length) + shift)))


GOOD = [
    ask(DIGITS.X[:rows], datatype, framing, **more)
    for rows in (1, 2)
    for datatype in FORMS
    for framing in FRAMINGS
    for more in ({}, {"id": "a:b", "outputs": [{"name": "label", "parameters": {"binary_data": True}}]})
]
"""Of every form."""


@settings(max_examples=5 * N)
@given(st.sampled_from(GOOD), st.lists(edits, min_size=1, max_size=3), st.just(0) | st.integers(-9, 9))
def test_a_changed_request_is_refused_or_answered_as_it_stands(
    served: Served, asked: Asked, changes: list[Edit], shift: int
) -> None:
    """However bytes of a good request are changed, it is refused, or answered for the rows that now stand in it."""
    outcome(mutated(asked, changes, shift), served)


@pytest.mark.parametrize("seed", [slow(seed) for seed in range(4)])
def test_a_hundred_thousand_changed_requests(served: Served, seed: int) -> None:
    """The same over a hundred thousand requests, of which thousands are still accepted."""
    draw = random.Random(seed)
    accepted = 0
    for _ in range(25_000):
        asked = draw.choice(GOOD)
        changes = [
            (draw.randrange(5), draw.randrange(len(asked.body)), size, draw.randrange(256))
            for size in draw.choice(([1], [draw.randrange(600)], [1, 1], [1, 1, draw.randrange(600)]))
        ]
        shift = 0
        if draw.random() < 0.3:  # the length goes along with what was put in or cut out
            shift = len(edited(asked.body, changes)) - len(asked.body)
        accepted += isinstance(outcome(mutated(asked, changes, shift), served), dict)
    assert accepted > 1000


def test_a_length_is_the_only_one(served: Served) -> None:
    """Of all lengths that can be told of a request in bytes none but the true one is answered."""
    for asked in GOOD:
        if asked.length is not None:
            told = [length for length in range(len(asked.body) + 2) if str(length) != asked.length]
            for length in random.Random(1).sample(told, 40):
                assert isinstance(outcome(replace(asked, length=str(length)), served), str)
