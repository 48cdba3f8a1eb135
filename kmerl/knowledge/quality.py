"""How good mining is: against scp_codes, against a truth table, and by what was not understood."""

import ast
import csv
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from kmerl.files import read_yaml
from kmerl.knowledge.backend import Backend, Coverage
from kmerl.knowledge.extract import recognised
from kmerl.knowledge.lexicon.backend import lexicon
from kmerl.knowledge.lexicon.vocabulary import vocabulary
from kmerl.knowledge.statements import ANNOTATION, split
from kmerl.knowledge.verify import kept

Entities = set[str] | frozenset[str]
NAMED_LANGUAGES = ("english", "german", "swedish")
NOT_WRITTEN = re.compile(r"\W*(?:trace only requested)?\W*", re.IGNORECASE)
"""The place of a report that nobody wrote: there is nothing to mine, whatever was coded."""


@dataclass(frozen=True)
class CodeTable:
    """codes.yaml: which entities state which scp code, and which codes make one finding."""

    by_code: Mapping[str, frozenset[str]]
    findings: Mapping[str, tuple[str, ...]]
    classes: Mapping[str, tuple[str, ...]]
    languages: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Scored:
    """One report: what the experts coded, what mining found, its language and PTB-XL fold.

    A report is not `written` where its text only says that no report was asked for.
    """

    codes: frozenset[str]
    entities: frozenset[str]
    language: str
    fold: int
    written: bool = True


def score(truth: Iterable[bool], predicted: Iterable[bool]) -> dict[str, float]:
    """Precision, recall and F1 of one finding over records, with its counts."""
    counts = Counter(zip(truth, predicted, strict=True))
    return _rates(counts[True, True], counts[False, True], counts[True, False])


def compare(truth: Iterable[tuple[str, str]], mined: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Mined (record, entity) pairs against the true ones: micro, macro and per entity."""
    true_pairs, mined_pairs = set(truth), set(mined)
    names = sorted({entity for _, entity in true_pairs | mined_pairs})
    both = Counter(entity for _, entity in true_pairs & mined_pairs)
    extra = Counter(entity for _, entity in mined_pairs - true_pairs)
    missed = Counter(entity for _, entity in true_pairs - mined_pairs)
    each = {name: _rates(both[name], extra[name], missed[name]) for name in names}
    return _overall(each) | {"entities": each}


def against_truth(
    tables: Mapping[str, Path],
    stated: Iterable[tuple[str, str]],
    hedged: str,
    records: Collection[str],
) -> dict[str, Any]:
    """Mined (record, entity) pairs against truth tables of the synthetic cohort.

    A table has the columns `record` and `statements`, the latter JSON: a list of statements with
    the entities each one states ("positive"), hedges and negates. Its names and the mined ones are
    both read by the lexicon, so that synonyms agree whatever backend mined them. Entities that the
    table never names are left out of the score.

    Args:
        tables: by what stands before the names of a table's records in `stated` and `records`.
        records: the records that were mined; others of a table (dropped reports) do not count.
    """
    mined, said = set(records), []
    for before, path in tables.items():
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(before + row["record"], row["statements"]) for row in csv.DictReader(file)]
        said += [(name, json.loads(statements)) for name, statements in rows if name in mined]
    kinds = ("positive", "hedged", "negated")
    names = {n for _, statements in said for one in statements for k in kinds for n in one[k]}
    entity = lexicon().merge(sorted(names))
    counted = kinds[:2] if hedged == "positive" else kinds[:1]
    true_pairs = {
        (record, entity[name])
        for record, statements in said
        for statement in statements
        for kind in counted
        for name in statement[kind]
    }
    known = set(entity.values())
    mined_pairs = ((record, e) for record, name in stated for e in read_as(name) if e in known)
    return compare(true_pairs, mined_pairs) | {"records": len(said)}


def against_codes(
    texts: Iterable[tuple[str, str, Sequence[str]]], stated: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """Mined (record, entity) pairs of PTB-XL against the experts' scp codes, by language too.

    Args:
        texts: record, report and scp codes.
    """
    found: dict[str, set[str]] = {}
    for record, name in stated:
        found.setdefault(record, set()).update(read_as(name))
    return measure(
        [
            Scored(
                frozenset(codes),
                frozenset(found.get(record, ())),
                language(text),
                fold=0,
                written=NOT_WRITTEN.fullmatch(text) is None,
            )
            for record, text, codes in texts
        ]
    )


@lru_cache(maxsize=65_536)
def read_as(name: str) -> frozenset[str]:
    """The lexicon's entities for a backend's name of one; the name itself where it knows none."""
    return lexicon().entities(name) or frozenset({name})


def scores(reports: Sequence[Scored], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Scores of groups of codes: micro (all decisions pooled), macro (mean F1), each group."""
    table = code_table()
    each = {}
    for name, codes in groups.items():
        entities = frozenset().union(*(table.by_code[code] for code in codes))
        truth = [not report.codes.isdisjoint(codes) for report in reports]
        each[name] = score(truth, (not report.entities.isdisjoint(entities) for report in reports))
    return _overall(each) | {"findings": each}


def mined(reports: Sequence[Sequence[str]], backend: Backend, hedged: str) -> list[frozenset[str]]:
    """The canonical entities of each report (raw statements); each statement is read once."""
    statements = sorted({statement for report in reports for statement in split(report)})
    expressions = backend.extract(statements)
    verdicts = backend.verify(statements, expressions)
    entity = backend.merge(sorted({name for names in expressions for name in names}))
    found = {
        statement: {entity[n] for n, v in zip(names, answers, strict=True) if kept(v, hedged)}
        for statement, names, answers in zip(statements, expressions, verdicts, strict=True)
    }
    read = [
        (e for s in split(report) for name in found[s] for e in read_as(name)) for report in reports
    ]
    return [frozenset(names) for names in read]


def language(report: str) -> str:
    """The language of a report, by the words of codes.yaml."""
    words = f" {' '.join(re.sub(r'[.,;:]', ' ', report.lower()).split())} "
    table = code_table().languages
    hits = {name: sum(words.count(f" {word} ") for word in known) for name, known in table.items()}
    best = max(sorted(hits), key=hits.__getitem__)
    return best if hits[best] else "german"


def read_reports(path: Path, backend: Backend, hedged: str) -> list[Scored]:
    """PTB-XL rows (report, scp_codes, strat_fold) with what is mined from their reports."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = mined([[row["report"]] for row in rows], backend, hedged)
    return [
        Scored(
            frozenset(ast.literal_eval(row["scp_codes"])),
            entities,
            language(row["report"]),
            int(row["strat_fold"]),
            NOT_WRITTEN.fullmatch(ANNOTATION.sub("", row["report"])) is None,
        )
        for row, entities in zip(rows, found, strict=True)
    ]


def measure(reports: Sequence[Scored]) -> dict[str, Any]:
    """All scores: findings, single codes, PTB-XL's superclasses, and the findings by language.

    Reports that nobody wrote are counted, not scored.
    """
    table = code_table()
    unwritten = sum(not report.written for report in reports)
    reports = [report for report in reports if report.written]
    single = {code: (code,) for code in sorted(table.by_code)}
    result = {
        "records": len(reports),
        "not_written": unwritten,
        "findings": scores(reports, table.findings),
        "codes": scores(reports, single),
        "classes": scores(reports, table.classes),
    }
    for name in NAMED_LANGUAGES:
        part = [report for report in reports if report.language == name]
        summary = scores(part, table.findings)
        result[name] = {"records": len(part), **{k: summary[k] for k in ("micro", "macro_f1")}}
    return result


def coverage(statements: Mapping[str, int], backend: Coverage) -> dict[str, Any]:
    """The share of statements with every clinical phrase recognised, and the worst others."""
    texts = sorted(statements)
    left = dict(zip(texts, backend.unrecognised(texts), strict=True))
    worst = sorted((text for text in texts if left[text]), key=lambda t: (-statements[t], t))
    return {
        "statements": len(texts),
        **recognised(texts, [statements[text] for text in texts], backend),
        "unrecognised": {text: left[text] for text in worst[:50]},
    }


@lru_cache(maxsize=1)
def code_table() -> CodeTable:
    """The packaged table of scp codes."""
    content = read_yaml(resources.files("kmerl.knowledge.lexicon") / "codes.yaml")
    by_code: dict[str, frozenset[str]] = {}
    findings: dict[str, tuple[str, ...]] = {}
    for name, entry in content["findings"].items():
        findings[name] = tuple(entry["codes"])
        for code, entities in entry["codes"].items():
            by_code[code] = frozenset(e for entity in entities for e in _spread(entity))
    classes = {name: tuple(codes) for name, codes in content["classes"].items()}
    languages = {name: tuple(words) for name, words in content["languages"].items()}
    return CodeTable(by_code, findings, classes, languages)


def _spread(name: str) -> list[str]:
    """ "* ischemia" as all entities of that located finding."""
    if not name.startswith("* "):
        return [name]
    words = vocabulary()
    finding = words.findings[name.removeprefix("* ")]
    located = [finding.located.format(territory=territory) for territory in words.territories]
    return [finding.unlocated, *located]


def _rates(hits: int, extra: int, missed: int) -> dict[str, float]:
    precision = hits / (hits + extra) if hits + extra else float("nan")
    recall = hits / (hits + missed) if hits + missed else float("nan")
    total = 2 * hits + extra + missed
    f1 = 2 * hits / total if total else float("nan")
    counts = {"hits": hits, "extra": extra, "missed": missed}
    return {"precision": precision, "recall": recall, "f1": f1, **counts}


def _overall(each: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    sums = [sum(int(one[key]) for one in each.values()) for key in ("hits", "extra", "missed")]
    rated = [one["f1"] for one in each.values() if one["hits"] + one["missed"]]
    return {"micro": _rates(*sums), "macro_f1": sum(rated) / len(rated) if rated else float("nan")}
