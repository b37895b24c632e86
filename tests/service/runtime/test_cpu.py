"""Cores by quota: fake control-group directories."""

import os
from pathlib import Path

import pytest

from chainzrule.service.runtime.cpu import available_cpus


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def v2(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text)
    return root


def v1(root: Path, quota: str, period: str = "100000\n") -> Path:
    (root / "cpu").mkdir()
    (root / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (root / "cpu" / "cpu.cfs_period_us").write_text(period)
    return root


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("100001 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("6400000 100000\n", 8),
        ("garbage\n", 8),
        ("1 2 3\n", 8),
        ("", 8),
    ],
)
def test_control_groups_v2(tmp_path: Path, text: str, cores: int) -> None:
    assert available_cpus(v2(tmp_path, text)) == cores


@pytest.mark.parametrize(
    ("quota", "cores"), [("-1\n", 8), ("300000\n", 3), ("250000\n", 3), ("10000\n", 1), ("many\n", 8)]
)
def test_control_groups_v1(tmp_path: Path, quota: str, cores: int) -> None:
    assert available_cpus(v1(tmp_path, quota)) == cores


def test_v2_goes_before_v1(tmp_path: Path) -> None:
    v1(tmp_path, "100000")
    assert available_cpus(v2(tmp_path, "400000 100000")) == 4


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "absent") == 8


def test_without_affinity_the_host_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus(tmp_path) == 1
