"""A little of `make fuzz`, always the same: no damage raises what is not ours, hangs or swells."""

import functools
import operator
import os
import time

import pytest

from tests.faults.attempts import Campaign, tried
from tests.faults.processes import Death, run
from tests.faults.targets import TARGETS

EACH = 3  # inputs for each of a target's shares


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_refused_or_read(name):
    campaign = Campaign((name,))
    for files in campaign.whole[name]:  # so that what is refused is the damage
        assert tried(name, -1, files).said == "read"
    outcomes = [campaign.attempt(name, number) for number in range(EACH * TARGETS[name].share)]
    found = [f"{one.number}: {one.fault}" for one in outcomes if one.fault]
    assert not found, f"python -m tests.faults.campaign {name} NUMBER shows {found}"


def test_a_process_that_dies_or_hangs_is_a_result():
    jobs = [functools.partial(abs, -1), os.abort, functools.partial(time.sleep, 60)]
    make = functools.partial(operator.itemgetter(0), (operator.call,))
    found = dict(run(jobs, make, 2, hung=2.0))
    assert [found[job] for job in jobs] == [1, Death("died", -6), Death("hung", -9)]
