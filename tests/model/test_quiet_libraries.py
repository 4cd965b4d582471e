"""What the libraries below tell one another is kept from the user."""

from __future__ import annotations

import warnings

import pytest

from residency.model.quiet_libraries import quiet_libraries


def test_warnings_of_libraries_are_not_shown() -> None:
    with pytest.warns(FutureWarning, match="after") as seen:
        with quiet_libraries():
            warnings.warn("this is deprecated", FutureWarning, stacklevel=1)
        warnings.warn("after", FutureWarning, stacklevel=1)
    assert len(seen) == 1
