"""The data files of the synthetic cohort: whoever adds a line with a slip is told which."""

from importlib import resources
from typing import Any

import pytest

from kmerl.files import read_yaml
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.params import ParamsError, build
from kmerl.synthetic.catalogue import HIDES, TERRITORIES, Findings
from kmerl.synthetic.patients import Population
from kmerl.synthetic.words import CART, ENGLISH, GERMAN, LITERALLY, Words

SLIPS: list[tuple[type, str, str, Any, str]] = [
    (Words, "words cart stated", "low t wav", ["Low T"], "did you mean 'low t wave'"),
    (Words, "words german stated", "low t wave", [], "low t wave is .* at least 1"),
    (Words, "words cart hedged", "sinus rhythm", ["Maybe sinus"], "'sinus rhythm' has no phrase"),
    (Words, "words english stated", "infarct", ["old {wal} mi"], r"infarct\[0\] is 'old {wal} mi'"),
    (Words, "words literally stated", "Complete LBB", ["x"], "literally: .* 'Complete LBBB'"),
    (Population, "population chronic av", "av block", 0.1, "chronic.av.av block: no finding"),
    (Population, "population passing", "sinus pause", 1.5, "less than or equal to 1"),
    (Findings, "findings hides", "sinus pause", ["st"], "hides: 'st' is no finding and no group"),
    (Findings, "findings findings", "low voltage", {"group": "volt"}, "group is 'volt'"),
]


@pytest.mark.parametrize(("kind", "place", "key", "value", "message"), SLIPS)
def test_a_slip_is_named(kind, place, key, value, message):
    name, *path = place.split()
    content = section = read_yaml(resources.files("kmerl.synthetic") / f"{name}.yaml")
    for part in path:
        section = section[part]
    section[key] = value
    with pytest.raises(ParamsError, match=f"^{name}.yaml: .*{message}"):
        build(kind, content, f"{name}.yaml: ")


def test_lines_for_all_infarcts_name_each_wall_and_groups_hide_each_member():
    name = "inferior myocardial infarction"
    assert "Inferior infarct, old" in CART[name].stated
    assert "Possible acute inferior infarct" in CART[f"acute {name}"].hedged
    assert "inferiorer infarkt" in GERMAN[name].stated
    assert set(TERRITORIES) <= HIDES["left bundle branch block"]
    assert all("st elevation" in HIDES[infarct] for infarct in TERRITORIES)


@pytest.mark.parametrize("language", [CART, ENGLISH, GERMAN], ids=["cart", "english", "german"])
def test_the_lexicon_reads_in_each_wording_what_it_is_said_to_say(language):
    unread = []
    for name, wording in language.items():
        if name.startswith("acute "):  # what these say is the report's: reports._infarct_line
            continue
        for text in (*wording.stated, *wording.hedged):
            said = {e for each in LITERALLY.get(text, ((name,),)) for e in each}
            wanted = set().union(*(lexicon().entities(entity) or {entity} for entity in said))
            if not wanted <= lexicon().entities(text):
                unread.append((name, text))
    assert not unread
