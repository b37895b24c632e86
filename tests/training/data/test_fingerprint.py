"""What a fingerprint covers, and what not."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chainzrule.training.data.errors import DataError
from chainzrule.training.data.fingerprint import fingerprint_arrays, fingerprint_file, fingerprint_frame
from tests.training.data.test_table import people


def test_the_fingerprint_covers_names_order_kinds_values_and_gaps_only() -> None:
    frame = people()
    base = fingerprint_frame(frame)
    assert fingerprint_frame(frame.copy().set_index(frame.index + 5)) == base
    changed = [
        frame.rename(columns={"age": "Age"}),
        frame[frame.columns[::-1]],
        frame.iloc[::-1],
        frame.iloc[:-1],
        frame.assign(visits=frame["visits"].astype(np.int32)),
        frame.assign(visits=frame["visits"].where(frame.index != 4, 100)),
        frame.assign(age=frame["age"].where(frame.index != 4)),
        frame.assign(age=frame["age"].where(frame.index != 4, 0.0)),
        frame.assign(town=frame["town"].where(frame.index != 4)),
        frame.assign(town=frame["town"].where(frame.index != 4, "Ulm")),
        frame.assign(size=frame["size"].cat.reorder_categories(["L", "M", "S"])),
        frame.assign(size=frame["size"].astype(str)),
    ]
    assert len({base, *map(fingerprint_frame, changed)}) == len(changed) + 1
    assert fingerprint_frame(frame.assign(visits=frame["visits"].astype("Int64"))) == base


def test_a_column_of_text_is_no_column_of_its_neighbours() -> None:
    """Parts cannot run into each other."""
    frames = [{"a": ["bc"], "d": ["e"]}, {"a": ["b"], "cd": ["e"]}, {"a": ["b", "c"]}, {"a": ["bc"]}, {"a": ["b,c"]}]
    assert len({fingerprint_frame(pd.DataFrame(frame)) for frame in frames}) == len(frames)


def test_a_gap_is_no_zero_and_its_bits_do_not_count() -> None:
    gap = pd.DataFrame({"a": [1.0, np.nan]})
    other = pd.DataFrame({"a": np.array([1.0, np.frombuffer(b"\x01\0\0\0\0\0\xf8\x7f")[0]])})
    assert np.isnan(other["a"][1])
    assert fingerprint_frame(gap) == fingerprint_frame(other) != fingerprint_frame(pd.DataFrame({"a": [1.0, 0.0]}))


def test_arrays_are_hashed_with_name_type_shape_and_values() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    base = fingerprint_arrays({"x": array})
    assert fingerprint_arrays({"x": np.asfortranarray(array)}) == base
    changed = [
        {"y": array},
        {"x": array.view(np.uint16)},
        {"x": array.T.copy()},
        {"x": array + 1},
        {"x": array.ravel()},
    ]
    assert len({base, *map(fingerprint_arrays, changed)}) == len(changed) + 1  # type: ignore[arg-type]


def test_a_file_is_hashed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert fingerprint_file(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()
    with pytest.raises(DataError, match="absent: cannot be read"):
        fingerprint_file(tmp_path / "absent")
