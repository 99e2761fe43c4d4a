from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.utils.cores import ThreadShares, container_quota, share_threads


@pytest.mark.parametrize(
    ("cores", "decoder", "encoder", "vision"),
    [(1, 1, 1, 1), (2, 2, 2, 1), (4, 2, 4, 1), (16, 8, 16, 4), (128, 8, 16, 4)],
)
def test_no_program_is_given_more_threads_than_there_are_cores(
    cores: int, decoder: int, encoder: int, vision: int
) -> None:
    assert share_threads(cores) == ThreadShares(decoder, encoder, vision)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what?\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, files: dict[str, str], quota: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert container_quota(tmp_path) == quota
