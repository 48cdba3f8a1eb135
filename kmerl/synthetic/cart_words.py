"""How an American cart (MIMIC-IV-ECG) words a finding: stated outright, and hedged."""

from dataclasses import dataclass

from kmerl.synthetic.catalogue import TERRITORIES


@dataclass(frozen=True)
class Wording:
    """Phrases that state a finding and phrases that leave it open."""

    stated: tuple[str, ...]
    hedged: tuple[str, ...] = ()


def infarcts(
    names: dict[str, str], stated: tuple[str, ...], hedged: tuple[str, ...]
) -> dict[str, Wording]:
    """One wording a territory; its name in this language takes the place of {wall}."""
    return {
        finding: Wording(
            tuple(text.format(wall=names[wall], Wall=names[wall].capitalize()) for text in stated),
            tuple(text.format(wall=names[wall], Wall=names[wall].capitalize()) for text in hedged),
        )
        for finding, wall in TERRITORIES.items()
    }


WALLS = {wall: wall for wall in TERRITORIES.values()}
CART_OLD = infarcts(
    WALLS,
    (
        "{Wall} infarct - age undetermined",
        "{Wall} infarct, old",
        "Old {wall} infarct",
        "{Wall} infarct, age indeterminate",
        "{Wall} infarction - age undetermined",
    ),
    (
        "Possible {wall} infarct - age undetermined",
        "Cannot rule out {wall} infarct - age undetermined",
        "Probable {wall} infarct, old",
        "Consider {wall} infarct",
        "Abnormal Q suggests {wall} infarct",
        "Possible old {wall} infarct",
    ),
)
CART_ACUTE = infarcts(
    WALLS,
    (
        "{Wall} infarct, acute",
        "Acute {wall} infarct",
        "{Wall} infarct, recent",
        "*** {Wall} infarct - possibly acute ***",
        "{Wall} infarct - probably acute",
    ),
    ("{Wall} ST elevation, consider acute infarct", "Possible acute {wall} infarct"),
)

LVH_VOLTAGE = ("voltage criteria for left ventricular hypertrophy",)

CART: dict[str, Wording] = {
    "left bundle branch block": Wording(
        ("Left bundle branch block", "LBBB", "Complete LBBB", "IV conduction defect of LBBB type")
    ),
    "incomplete left bundle branch block": Wording(
        ("Incomplete LBBB", "Incomplete left bundle branch block"),
    ),
    "right bundle branch block": Wording(
        ("Right bundle branch block", "RBBB", "Complete RBBB", "Conduction defect of RBBB type")
    ),
    "incomplete right bundle branch block": Wording(
        ("Incomplete RBBB", "Incomplete right bundle branch block", "IRBBB"),
        ("Possible incomplete RBBB",),
    ),
    "intraventricular conduction delay": Wording(
        ("IV conduction defect", "Intraventricular conduction delay", "IVCD", "Nonspecific IVCD"),
    ),
    "wolff-parkinson-white": Wording(
        ("WPW pattern", "Ventricular preexcitation (WPW)", "Wolff-Parkinson-White syndrome"),
        ("Consider ventricular preexcitation (WPW)",),
    ),
    "left anterior fascicular block": Wording(
        ("Left anterior fascicular block", "LAFB", "Left anterior hemiblock"),
        ("Probable left anterior fascicular block",),
    ),
    "left posterior fascicular block": Wording(
        ("Left posterior fascicular block", "LPFB"),
        ("Consider left posterior fascicular block", "Possible LPFB"),
    ),
    "left axis deviation": Wording(("Left axis deviation", "Leftward axis", "LAD")),
    "right axis deviation": Wording(("Right axis deviation", "Rightward axis", "RAD")),
    "clockwise rotation": Wording(("Clockwise rotation", "Late transition, clockwise rotation")),
    "counterclockwise rotation": Wording(
        ("Counterclockwise rotation", "Counter-clockwise rotation")
    ),
    "left ventricular hypertrophy": Wording(
        (
            "Left ventricular hypertrophy",
            "LVH",
            "Left ventricular hypertrophy by voltage only",
            "LVH by voltage",
        ),
        (
            "Possible left ventricular hypertrophy",
            "Consider left ventricular hypertrophy",
            "Probable LVH",
        ),
    ),
    "right ventricular hypertrophy": Wording(
        ("Right ventricular hypertrophy", "RVH"),
        ("Consider right ventricular hypertrophy", "Possible RVH"),
    ),
    "left atrial enlargement": Wording(
        ("Left atrial enlargement", "Left atrial abnormality", "LAE"),
        ("Possible left atrial abnormality", "Probable left atrial enlargement"),
    ),
    "right atrial enlargement": Wording(
        ("Right atrial enlargement", "Right atrial abnormality", "RAE"),
        ("Possible right atrial abnormality", "Consider right atrial enlargement"),
    ),
    "myocardial ischemia": Wording(
        (
            "ST-T changes due to myocardial ischemia",
            "Anterolateral ischemia",
            "Myocardial ischemia",
        ),
        (
            "ST-T changes may be due to myocardial ischemia",
            "ST-T abnormality, consider myocardial ischemia",
            "Cannot rule out myocardial ischemia",
            "T wave changes suggest possible myocardial ischemia",
        ),
    ),
    "st depression": Wording(
        ("ST depression", "Nonspecific ST depression", "Marked ST depression"),
        ("Possible nonspecific ST depression",),
    ),
    "st elevation": Wording(
        ("ST elevation", "Nonspecific ST elevation", "Minor ST elevation"),
        ("Possible ST elevation",),
    ),
    "t wave inversion": Wording(
        ("T wave inversion", "Inverted T waves", "T waves are inverted", "TWI noted"),
    ),
    "low t wave": Wording(("Low T waves", "Flat T waves", "Low T wave amplitude")),
    "t wave abnormality": Wording(
        ("Nonspecific T wave changes", "T wave abnormality", "Non-specific T wave abnormalities"),
        ("Possible nonspecific T wave abnormality",),
    ),
    "prolonged qt interval": Wording(
        ("Prolonged QT interval", "Long QTc interval", "QT prolongation", "Prolonged QTc"),
        ("Borderline prolonged QT interval",),
    ),
    "low voltage": Wording(
        ("Low QRS voltages", "Generalized low QRS voltages", "Low voltage", "Low QRS voltage"),
    ),
    "early repolarization": Wording(
        ("Early repolarization", "Early repolarization pattern"),
        ("Probable early repolarization", "Possible early repolarization"),
    ),
    "sinus pause": Wording(("Sinus pause", "Sinus pause noted")),
}

LITERALLY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Complete LBBB": (("complete left bundle branch block",), ()),
    "Complete RBBB": (("complete right bundle branch block",), ()),
    "Left ventricular hypertrophy by voltage only": (
        ("left ventricular hypertrophy", *LVH_VOLTAGE),
        (),
    ),
    "LVH by voltage": (("left ventricular hypertrophy", *LVH_VOLTAGE), ()),
    "Anterolateral ischemia": (("anterolateral ischemia",), ()),
}
"""Phrases that say something else than the finding they are used for: stated, hedged."""
