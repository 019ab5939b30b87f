"""`parameters.npz`, read without NumPy: what is accepted is what NumPy reads, and no byte of it is left unlooked at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.artifact.parameters import parse_parameters
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.verification import verify
from forging import reseal, unpack
from parameter_files import GOOD, HOSTILE, pickles, savez, zipped

if TYPE_CHECKING:
    from artifact_pipeline.training.sealed import Candidate

GOLDEN = (Path(__file__).parent / "golden" / "v1" / "parameters.npz").read_bytes()


def by_numpy(data: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays as NumPy reads them."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file)


def by_us(data: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays as `verify` reads them."""
    found = parse_parameters(data)
    return {name: np.frombuffer(each.data, f"<{each.dtype}").reshape(each.shape) for name, each in found.items()}


def refused(data: bytes) -> bool:
    """Whether `parse_parameters` refuses a file, as it should refuse: by its own error and by name."""
    try:
        parse_parameters(data)
    except ArtifactRejected as error:
        return error.rules == {"parameters-invalid"}
    return False


@pytest.mark.parametrize(
    "data",
    [GOLDEN, savez(), zipped(), savez(classes=np.array(["a", "böse", "\U0001f600"])), savez(coef=np.zeros((1, 3)))],
    ids=["golden", "savez", "zipfile", "texts", "two classes"],
)
def test_what_numpy_writes_is_read_bit_for_bit(data: bytes) -> None:
    """The golden artifact's file, one of each kind of label, and one whose sizes stand in 32 bits are read."""
    ours, theirs = by_us(data), by_numpy(data)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (array.dtype, array.shape)
        assert ours[name].tobytes() == array.tobytes()
    assert parse_parameters(data)["classes"].labels() == theirs["classes"].tolist()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_numpy_does_not_write_so_is_refused(name: str) -> None:
    """An archive, a header or an array of another form is refused before anything is made of it."""
    assert refused(HOSTILE[name]())


def test_no_pickle_passes_for_parameters(candidate_1: Candidate, tmp_path: Path) -> None:
    """A pickle as the file, or as an array in it, is refused by `verify` and never run."""
    canary = tmp_path / "canary"
    folder = unpack(candidate_1, tmp_path / "folder")
    for name, data in pickles(canary).items():
        reseal(folder, parameters=data)
        with pytest.raises(ArtifactRejected) as caught:
            verify(folder)
        assert caught.value.rules == {"parameters-invalid"}, name
    assert not canary.exists()


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    """No beginning of the golden file is a file of parameters."""
    assert all(refused(GOLDEN[:length]) for length in range(len(GOLDEN)))


def test_a_changed_byte_is_refused_or_changes_nothing() -> None:
    """Of each byte that is changed either the file is refused, or it is one that no reader takes anything from."""
    good, accepted = parse_parameters(GOLDEN), []
    for at in range(len(GOLDEN)):
        data = bytearray(GOLDEN)
        data[at] ^= 0xFF
        if not refused(bytes(data)):
            assert parse_parameters(bytes(data)) == good, at
            accepted.append(at)
    # Versions, times and the rights of a file: 2 + 4 bytes of a member's own header, 4 + 4 + 6 of its entry.
    assert len(accepted) == len(GOOD) * 20


@given(data=st.binary(max_size=300), at=st.integers(0, len(GOLDEN)), cut=st.integers(0, 300))
def test_whatever_stands_there_is_refused_or_read_as_numpy_does(data: bytes, at: int, cut: int) -> None:
    """A file with anything put into it raises only the refusal; what is accepted NumPy reads alike."""
    mutant = GOLDEN[:at] + data + GOLDEN[at + cut :]
    if not refused(mutant):
        ours, theirs = by_us(mutant), by_numpy(mutant)
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in GOOD)
