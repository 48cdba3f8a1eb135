"""Reports as they come off a cart and from a cardiologist's desk, and what they really say.

A report is not the truth: minor findings go unmentioned, mild ones are hedged, some phrases deny
what nobody asked for. Each statement carries the entities it states, hedges and denies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kmerl.synthetic.catalogue import CATALOGUE, NORMAL, SINUS_RHYTHMS, TERRITORIES
from kmerl.synthetic.draws import pick
from kmerl.synthetic.patients import Visit
from kmerl.synthetic.recording import Recording, strength
from kmerl.synthetic.words import CART, CART_STATEMENTS, ENGLISH, GERMAN, LITERALLY, Wording

Random = np.random.Generator

POOR_QUALITY = "*** Poor data quality, interpretation may be adversely affected ***"
ABNORMAL_QRS = "abnormal qrs"
ACUTE = "acute myocardial infarction"
OTHERWISE_NORMAL = "otherwise normal"
UNSTATED = {True: 0.18, False: 0.04}
"""Chance that a finding goes unmentioned, by whether it is minor."""


@dataclass(frozen=True)
class Statement:
    """One line of a report, and the canonical entities in it."""

    text: str
    positive: tuple[str, ...] = ()
    hedged: tuple[str, ...] = ()
    negated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The statements of a report, in their order, in English or German."""

    statements: tuple[Statement, ...]
    english: bool

    @property
    def text(self) -> str:
        """PTB-XL's one text a report: sentences in English, a run of phrases in German."""
        texts = [statement.text for statement in self.statements]
        return ". ".join(texts) + "." if self.english else " ".join(texts)

    def says(self, entity: str) -> bool:
        return any(entity in statement.positive for statement in self.statements)

    def hedges(self, entity: str) -> bool:
        return any(entity in statement.hedged for statement in self.statements)


# ------------------------------------------------------------------ MIMIC-IV-ECG


def cart_report(recording: Recording) -> Report:
    """MIMIC-IV-ECG: up to 18 statements, in the order a cart prints them."""
    visit = recording.visit
    rng = visit.stream("report")
    lines = [Statement(POOR_QUALITY)] if visit.noise.poor and rng.random() < 0.8 else []
    lines.append(_rhythm_line(visit, recording.measured.pr, rng))
    stated = [name for name in visit.findings if _is_stated(name, rng)]
    lines += _cart_lines(visit, stated, rng)
    if rng.random() < 0.07:
        lines += _denial(visit.findings, rng)
    lines += _false_alarm(visit, rng)
    return Report((*lines, _summary(visit, lines, rng)), english=True)


def _rhythm_line(visit: Visit, pr: float | None, rng: Random) -> Statement:
    """Rhythm with whatever interrupts it, in one compound statement."""
    rhythm = next(name for name in visit.findings if CATALOGUE[name].group == "rhythm")
    text = pick(rng, CART_STATEMENTS.rhythms[rhythm])
    positive, hedged = [rhythm], []
    if rhythm == "atrial fibrillation" and not 60 <= visit.rate <= 100:
        pace = "rapid" if visit.rate > 100 else "slow"
        text += f" with {pace} ventricular response"
    if rhythm != "sinus rhythm" and rng.random() < 0.04:
        text, positive, hedged = f"Probable {text[0].lower()}{text[1:]}", [], [rhythm]
    for name in visit.findings:
        if name in CART_STATEMENTS.interruptions:
            phrase = pick(rng, CART_STATEMENTS.interruptions[name])
            if name == "first degree av block" and pr is not None and pr < 0.225:
                phrase = "with borderline 1st degree A-V block"
            target = hedged if "borderline" in phrase else positive
            target.extend(LITERALLY[phrase][0] if phrase in LITERALLY else (name,))
            text = f"{text} {phrase}"
    return Statement(text, tuple(positive), tuple(hedged))


def _cart_lines(visit: Visit, stated: Sequence[str], rng: Random) -> list[Statement]:
    both = {"right bundle branch block", "left anterior fascicular block"}
    lines, rest = [], list(stated)
    if both <= set(stated) and rng.random() < 0.7:
        text = pick(rng, CART_STATEMENTS.bifascicular)
        lines.append(Statement(text, tuple(sorted(both))))
        rest = [name for name in stated if name not in both]
    for name in rest:
        if name in TERRITORIES:
            acute = visit.stages[name] == "acute"
            lines.append(_infarct_line(visit, name, acute, rng))
        elif name in CART:
            lines.append(_line(name, CART[name], _clear(visit, name), rng))
    return lines


def _infarct_line(visit: Visit, name: str, acute: bool, rng: Random) -> Statement:
    """One infarct in words; "acute" is an entity of its own, stated or hedged."""
    wording = CART[f"acute {name}" if acute else name]
    line = _line(name, wording, _clear(visit, name) * 0.75, rng)
    words = line.text.lower()
    if "st elevation" in words:
        return Statement(line.text, ("st elevation",), (ACUTE,))
    if "acute" not in words:
        return line
    if "possib" in words or "probab" in words:
        return replace(line, hedged=(*line.hedged, ACUTE))
    return replace(line, positive=(*line.positive, ACUTE))


def _line(name: str, wording: Wording, clear: float, rng: Random) -> Statement:
    """One finding in words: stated with the chance `clear`, or hedged where words for it exist."""
    hedge = bool(wording.hedged) and rng.random() > clear
    text = pick(rng, wording.hedged if hedge else wording.stated)
    if text in LITERALLY:
        return Statement(text, *LITERALLY[text])
    return Statement(text, () if hedge else (name,), (name,) if hedge else ())


def _clear(visit: Visit, name: str) -> float:
    """How sure a reader is of a finding: 0.55 (mild) to 0.95 (marked)."""
    return 0.55 + 0.4 * (strength(visit.patient, name) - 0.7) / 0.6


def _is_stated(name: str, rng: Random) -> bool:
    return float(rng.random()) >= UNSTATED[CATALOGUE[name].minor]


def _denial(findings: Iterable[str], rng: Random) -> list[Statement]:
    """A statement that denies something which is indeed not there."""
    start, denied = pick(rng, tuple(CART_STATEMENTS.denied.items()))
    words, entity = pick(rng, tuple(denied.items()))
    shown = set(findings)
    infarct = bool(shown & set(TERRITORIES))
    st_changes = shown & {"myocardial ischemia", "early repolarization", "st elevation"}
    if entity in shown or infarct or (st_changes and " st" in f" {entity}"):
        return []
    return [Statement(f"{start} {words}", negated=(entity,))]


def _false_alarm(visit: Visit, rng: Random) -> list[Statement]:
    """Carts ask about infarcts that are not there, most often behind LVH and late transition."""
    suspect = visit.has("left ventricular hypertrophy") or visit.has("clockwise rotation")
    if set(visit.findings) & set(TERRITORIES) or rng.random() > (0.10 if suspect else 0.015):
        return []
    name = "anterior myocardial infarction"
    if visit.has("left ventricular hypertrophy"):
        text = "QRS changes V3/V4 may be due to LVH but cannot rule out anterior infarct"
        return [Statement(text, hedged=("left ventricular hypertrophy", name))]
    return [Statement("Poor R wave progression - cannot rule out anterior infarct", hedged=(name,))]


def _summary(visit: Visit, lines: Sequence[Statement], rng: Random) -> Statement:
    """The line that sums up: normal, otherwise normal, borderline or abnormal."""
    if visit.has(NORMAL):
        plain = set(visit.findings) == {"sinus rhythm", NORMAL}
        if plain and not any(line.hedged for line in lines):
            return Statement(pick(rng, CART_STATEMENTS.normal), (NORMAL,))
        return Statement(pick(rng, CART_STATEMENTS.otherwise_normal), (OTHERWISE_NORMAL,))
    others = (CATALOGUE[name] for name in visit.findings if name not in SINUS_RHYTHMS)
    mild = all(finding.minor for finding in others)
    return Statement("Borderline ECG" if mild else "Abnormal ECG")


# ------------------------------------------------------------------ PTB-XL


def cardiologist_report(visit: Visit) -> Report:
    """PTB-XL: phrases in English (a third) or German, ectopy first as the real ones have it."""
    rng = visit.stream("report")
    english = rng.random() < 0.35
    words = ENGLISH if english else GERMAN
    names = [name for name in visit.findings if name in words and _is_stated(name, rng)]
    names.sort(key=lambda name: CATALOGUE[name].group != "ectopy")
    lines = [_line(name, words[name], _clear(visit, name), rng) for name in names]
    if not english and not visit.has("left axis deviation") and rng.random() < 0.5:
        lines.insert(min(1, len(lines)), Statement("lagetyp normal"))
    if visit.has(NORMAL):
        lines.append(_normal_line(visit, english))
    elif rng.random() < 0.06:
        denied = "no evidence of acute infarction" if english else "kein hinweis auf akuten infarkt"
        if not set(visit.findings) & set(TERRITORIES):
            lines.append(Statement(denied, negated=("myocardial infarction",)))
    if not lines:
        lines.append(Statement("trace only requested" if english else "ekg ohne befundung"))
    return Report(tuple(lines) if english else _german(lines, rng), english)


def _normal_line(visit: Visit, english: bool) -> Statement:
    plain = set(visit.findings) == {"sinus rhythm", NORMAL}
    words = (
        ("normal ecg", "otherwise normal ecg")
        if english
        else ("normales ekg", "sonst normales ekg")
    )
    return Statement(words[0], (NORMAL,)) if plain else Statement(words[1], (OTHERWISE_NORMAL,))


def _german(lines: Sequence[Statement], rng: Random) -> tuple[Statement, ...]:
    """Lower case but for the umlauts, as PTB-XL's export left them; often unconfirmed."""
    capitals = str.maketrans("äöü", "ÄÖÜ")
    changed = []
    for line in lines:
        extra = (ABNORMAL_QRS,) if line.text.startswith("qrs(t) abnorm") else ()
        text = line.text.translate(capitals)
        changed.append(replace(line, text=text, positive=(*line.positive, *extra)))
    if rng.random() < 0.4:
        changed.append(Statement("4.46                          unbestÄtigter bericht"))
    return tuple(changed)
