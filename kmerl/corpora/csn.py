"""Chapman-Shaoxing-Ningbo (ecg-arrhythmia 1.0.0): `WFDBRecords/**/JS*.hea` with `.mat`.

Labels by exact SNOMED code: a class's code is the one that the corpus's own
ConditionNames_SNOMED-CT.csv gives its acronym. MERL's released labels are substring matches of
acronyms (every "AFIB" also counts as "AF", atrial flutter), wrong in 3,817 of 23,026 rows; these
are not. As there, a record with a code that ConditionNames does not list is "unknown" and a
member of no task (Sec. 4.1). The corpus names no patients, so records are split 72/8/20.
"""

from pathlib import Path

from kmerl.corpora.csv_files import NUMBER, read_codes
from kmerl.corpora.folders import found_listing
from kmerl.corpora.records import CorpusError, Listing, Scheme, corpus_file
from kmerl.tasks.classes import classes

CORPUS = "csn"
NAMES = "ConditionNames_SNOMED-CT.csv"
COLUMNS = {"AcronymName": r"\S", "Snomed_CT": NUMBER}


def listing(root: Path) -> Listing:
    """Every record under `root`, sorted by path; its codes are in the header.

    Raises:
        CorpusError: ConditionNames_SNOMED-CT.csv, a column of it, or a class's acronym is missing.
    """
    return found_listing(CORPUS, root, scheme(root), codes={})


def scheme(root: Path) -> Scheme:
    """{SNOMED code: class}. Acronyms that share a code (MI, MIBW, ...) count as the class of it."""
    path = corpus_file(root, NAMES)
    snomed = {row["AcronymName"]: row["Snomed_CT"] for row in read_codes(path, COLUMNS)}
    codes = [c.code for c in classes(CORPUS)]
    missing = [code for code in codes if code not in snomed]
    if missing:
        raise CorpusError(f"{path} names no {', '.join(missing)}; restore the official file")
    return Scheme({CORPUS: {snomed[code]: code for code in codes}}, frozenset(snomed.values()))
