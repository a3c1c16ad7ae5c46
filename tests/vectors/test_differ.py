"""Both verifiers say the same of evidence that nobody has thought of."""

from __future__ import annotations

import shutil

import pytest

from tests.vectors import differ
from tests.vectors.differ import Case

SECONDS = 30


def test_a_case_is_the_same_at_every_run() -> None:
    """What was found once can be looked at again."""
    case = Case.thrown("0/7", differ.vectors())
    assert Case.parse(str(case)) == case
    assert case.mutant() == case.mutant()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_the_verifiers_agree_on_mutants() -> None:
    """The same cases at every run, as many as there is time for."""
    if shutil.which("node") is None:
        pytest.skip("lane node: node not installed")
    looked = list(differ.search(seed=1, count=400, seconds=SECONDS))
    found = [str(one) for one in looked if isinstance(one, differ.Disagreement)]
    assert looked
    assert not found, "\n".join(found)
