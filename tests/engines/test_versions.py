"""Engines of a version that nobody has tried are named, and the run goes on."""

from __future__ import annotations

import pytest

from erasurehead_engines.versions import warn_if_untried


@pytest.mark.parametrize("version", ["22.05", "22.05.8", "23.02.1", "23.11.4rc1"])
def test_what_was_tried_needs_no_word(version: str, caplog: pytest.LogCaptureFixture) -> None:
    warn_if_untried("SLURM", version, "22.05", "23.11")
    assert not caplog.records


@pytest.mark.parametrize("version", ["21.08.8", "24.05", "2022"])
def test_what_was_not_tried_is_one_sentence(version: str, caplog: pytest.LogCaptureFixture) -> None:
    warn_if_untried("SLURM", version, "22.05", "23.11")
    [record] = caplog.records
    assert record.getMessage() == (
        f"SLURM {version} was never tried with this version of ErasureHead (22.05 to 23.11 were);"
        " if the run fails, install one of those"
    )
