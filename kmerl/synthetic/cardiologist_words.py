"""How PTB-XL's cardiologists word a finding, in English and in German."""

from kmerl.synthetic.cart_words import LVH_VOLTAGE, WALLS, Wording, infarcts

GERMAN_WALLS = {
    "inferior": "inferiorer",
    "anterior": "anteriorer",
    "anteroseptal": "anteroseptaler",
    "lateral": "lateraler",
}

ENGLISH: dict[str, Wording] = {
    "sinus rhythm": Wording(("sinus rhythm",)),
    "sinus bradycardia": Wording(("sinus bradycardia",)),
    "sinus tachycardia": Wording(("sinus tachycardia",)),
    "sinus arrhythmia": Wording(("sinus arrhythmia", "sinus rhythm with sinus arrhythmia")),
    "atrial fibrillation": Wording(("atrial fibrillation", "a-fib")),
    "atrial flutter": Wording(("atrial flutter",)),
    "supraventricular tachycardia": Wording(
        ("supraventricular tachycardia",), ("probable supraventricular tachycardia",)
    ),
    "junctional rhythm": Wording(("junctional rhythm",), ("probable junctional rhythm",)),
    "ventricular pacing": Wording(("ventricular pacing", "pacemaker rhythm, ventricular pacing")),
    "sinus pause": Wording(("sinus pause",)),
    "premature atrial complex": Wording(
        ("premature atrial contraction(s)", "pac(s)", "supraventricular extrasystole(s)")
    ),
    "premature ventricular complex": Wording(
        ("premature ventricular contraction(s)", "pvc(s)", "ventricular extrasystole(s)")
    ),
    "ventricular bigeminy": Wording(
        ("ventricular bigeminy", "premature ventricular contractions, bigeminy")
    ),
    "ventricular trigeminy": Wording(
        ("ventricular trigeminy", "premature ventricular contractions, trigeminy")
    ),
    "first degree av block": Wording(
        ("prolonged pr interval", "first degree av block", "1st degree av block")
    ),
    "second degree av block type one": Wording(
        ("second degree av block, mobitz type i (wenckebach)",)
    ),
    "second degree av block type two": Wording(("second degree av block, mobitz type ii",)),
    "third degree av block": Wording(("complete av block", "third degree av block")),
    "left bundle branch block": Wording(("left bundle branch block", "lbbb")),
    "incomplete left bundle branch block": Wording(("incomplete left bundle branch block",)),
    "right bundle branch block": Wording(("right bundle branch block", "rbbb")),
    "incomplete right bundle branch block": Wording(("incomplete right bundle branch block",)),
    "intraventricular conduction delay": Wording(
        ("non-specific intraventricular block", "intraventricular conduction delay")
    ),
    "wolff-parkinson-white": Wording(
        ("wolff-parkinson-white syndrome", "wpw pattern"), ("possible wpw pattern",)
    ),
    "left anterior fascicular block": Wording(("left anterior fascicular block", "lafb")),
    "left posterior fascicular block": Wording(
        ("left posterior fascicular block",), ("possible left posterior fascicular block",)
    ),
    "left axis deviation": Wording(("left axis deviation",)),
    "right axis deviation": Wording(("right axis deviation",)),
    "clockwise rotation": Wording(("clockwise rotation",)),
    "counterclockwise rotation": Wording(("counterclockwise rotation",)),
    "left ventricular hypertrophy": Wording(
        ("left ventricular hypertrophy", "lvh", "left ventricular hypertrophy by voltage criteria"),
        (
            "voltages are high in chest leads suggesting lvh",
            "possible left ventricular hypertrophy",
        ),
    ),
    "right ventricular hypertrophy": Wording(
        ("right ventricular hypertrophy", "rvh"), ("possible right ventricular hypertrophy",)
    ),
    "left atrial enlargement": Wording(
        ("left atrial enlargement",), ("possible left atrial enlargement",)
    ),
    "right atrial enlargement": Wording(
        ("right atrial enlargement",), ("possible right atrial enlargement",)
    ),
    "myocardial ischemia": Wording(
        ("st-t changes of myocardial ischaemia",),
        ("non-specific but consistent with myocardial ischaemia", "myocardial ischaemia is likely"),
    ),
    "st depression": Wording(
        ("st segments are depressed in ii, v5,6", "non-specific st segment depression")
    ),
    "st elevation": Wording(("non-specific st segment elevation", "minor st elevation")),
    "t wave inversion": Wording(("t waves are inverted", "t wave inversion")),
    "low t wave": Wording(("t waves are low or flat throughout", "low t waves")),
    "t wave abnormality": Wording(
        ("non-specific t wave changes", "non-specific t wave abnormality")
    ),
    "prolonged qt interval": Wording(("prolonged qt", "prolonged qt interval")),
    "low voltage": Wording(("low limb lead voltage", "low voltage")),
    "early repolarization": Wording(
        ("pattern of benign early repolarisation", "early repolarization")
    ),
    **infarcts(
        WALLS,
        (
            "consistent with old {wall} myocardial infarction",
            "{wall} myocardial infarction of uncertain age",
            "old {wall} infarct",
        ),
        ("possible old {wall} myocardial infarction", "cannot exclude {wall} infarct"),
    ),
}

GERMAN: dict[str, Wording] = {
    "sinus rhythm": Wording(("sinusrhythmus",)),
    "sinus bradycardia": Wording(("sinusbradykardie",)),
    "sinus tachycardia": Wording(("sinustachykardie",)),
    "sinus arrhythmia": Wording(("sinus arrhythmie", "sinusarrhythmie")),
    "atrial fibrillation": Wording(("vorhofflimmern", "tachykardes vorhofflimmern")),
    "atrial flutter": Wording(("vorhofflattern",)),
    "supraventricular tachycardia": Wording(("supraventrikuläre tachykardie",)),
    "junctional rhythm": Wording(("av-knotenrhythmus",)),
    "ventricular pacing": Wording(("schrittmacher ekg", "ventrikulärer schrittmacherrhythmus")),
    "sinus pause": Wording(("sinuspause",)),
    "premature atrial complex": Wording(("supraventrikuläre extrasystole(n)", "sves")),
    "premature ventricular complex": Wording(("ventrikuläre extrasystole(n)", "ves")),
    "ventricular bigeminy": Wording(
        ("ventrikuläre extrasystole(n), bigeminus", "ventrikulärer bigeminus")
    ),
    "ventricular trigeminy": Wording(
        ("ventrikuläre extrasystole(n), trigeminus", "ventrikulärer trigeminus")
    ),
    "first degree av block": Wording(("a-v block i", "av-block 1. grades", "av-block i. grades")),
    "second degree av block type one": Wording(("av-block ii. grades typ wenckebach",)),
    "second degree av block type two": Wording(("av-block ii. grades typ mobitz",)),
    "third degree av block": Wording(("av-block iii. grades", "totaler av-block")),
    "left bundle branch block": Wording(("linksschenkelblock", "kompletter linksschenkelblock")),
    "incomplete left bundle branch block": Wording(("unvollständiger linksschenkelblock",)),
    "right bundle branch block": Wording(("rechtsschenkelblock", "kompletter rechtsschenkelblock")),
    "incomplete right bundle branch block": Wording(("unvollständiger rechtsschenkelblock",)),
    "intraventricular conduction delay": Wording(("unspezifischer intraventrikulärer block",)),
    "wolff-parkinson-white": Wording(
        ("wpw-syndrom", "präexzitation (wpw)"), ("verdacht auf wpw-syndrom",)
    ),
    "left anterior fascicular block": Wording(("linksanteriorer hemiblock", "lahb")),
    "left posterior fascicular block": Wording(("linksposteriorer hemiblock",)),
    "left axis deviation": Wording(("überdrehter linkstyp",)),
    "right axis deviation": Wording(("rechtstyp", "überdrehter rechtstyp")),
    "clockwise rotation": Wording(("r-s übergang in v ableitungen nach links verschoben",)),
    "counterclockwise rotation": Wording(("r-s übergang in v ableitungen nach rechts verschoben",)),
    "left ventricular hypertrophy": Wording(
        ("linkshypertrophie", "amplitudenkriterien für linkshypertrophie"),
        ("linkshypertrophie möglich", "mässige amplitudenkriterien für linkshypertrophie"),
    ),
    "right ventricular hypertrophy": Wording(
        ("rechtshypertrophie",), ("rechtshypertrophie möglich", "verdacht auf rechtshypertrophie")
    ),
    "left atrial enlargement": Wording(
        ("p-sinistrocardiale",), ("verdacht auf p-sinistrocardiale",)
    ),
    "right atrial enlargement": Wording(
        ("p-dextrocardiale", "p-pulmonale"), ("verdacht auf p-dextrocardiale",)
    ),
    "myocardial ischemia": Wording(
        ("anterolaterale ischämie",),
        ("st & t abnorm, wahrscheinlich anterolaterale ischämie oder linksbelastung",),
    ),
    "st depression": Wording(("st-senkung", "st-senkung in v4-v6")),
    "st elevation": Wording(("st-hebung", "st-hebung in v2-v3")),
    "t wave inversion": Wording(("t negativ in v4-v6", "t-negativierung")),
    "low t wave": Wording(("t abgeflacht",)),
    "t wave abnormality": Wording(
        ("unspezifisches abnormes t", "t abnorm in lateralen ableitungen")
    ),
    "prolonged qt interval": Wording(("qt-verlängerung",)),
    "low voltage": Wording(("periphere niederspannung",)),
    "early repolarization": Wording(("frühe repolarisation",)),
    **infarcts(
        GERMAN_WALLS,
        (
            "qrs(t) abnorm    {wall} infarkt     alter unbest.",
            "qrs(t) abnorm    {wall} infarkt     wahrscheinlich alt",
            "{wall} infarkt",
        ),
        (
            "qrs(t) abnorm    {wall} infarkt möglich",
            "qrs(t) abnorm    {wall} myokardschaden nicht auszuschliessen",
            "qrs(t) abnorm    {wall} myokardschaden möglich",
        ),
    ),
}

_PVC, _BIGEMINY, _TRIGEMINY = (
    "premature ventricular complex",
    "ventricular bigeminy",
    "ventricular trigeminy",
)
_LIMB_VOLTAGE = ("low qrs voltage in limb leads",)
LITERALLY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sinus rhythm with sinus arrhythmia": (("sinus arrhythmia", "sinus rhythm"), ()),
    "premature ventricular contractions, bigeminy": ((_PVC, _BIGEMINY), ()),
    "premature ventricular contractions, trigeminy": ((_PVC, _TRIGEMINY), ()),
    "ventrikuläre extrasystole(n), bigeminus": ((_PVC, _BIGEMINY), ()),
    "ventrikuläre extrasystole(n), trigeminus": ((_PVC, _TRIGEMINY), ()),
    "supraventricular extrasystole(s)": (("supraventricular premature complex",), ()),
    "supraventrikuläre extrasystole(n)": (("supraventricular premature complex",), ()),
    "sves": (("supraventricular premature complex",), ()),
    "prolonged pr interval": (("prolonged pr interval",), ()),
    "pacemaker rhythm, ventricular pacing": (("paced rhythm", "ventricular pacing"), ()),
    "schrittmacher ekg": (("paced rhythm",), ()),
    "kompletter linksschenkelblock": (("complete left bundle branch block",), ()),
    "kompletter rechtsschenkelblock": (("complete right bundle branch block",), ()),
    "left ventricular hypertrophy by voltage criteria": (
        ("left ventricular hypertrophy", *LVH_VOLTAGE),
        (),
    ),
    "voltages are high in chest leads suggesting lvh": (
        LVH_VOLTAGE,
        ("left ventricular hypertrophy",),
    ),
    "amplitudenkriterien für linkshypertrophie": (LVH_VOLTAGE, ()),
    "mässige amplitudenkriterien für linkshypertrophie": (LVH_VOLTAGE, ()),
    "anterolaterale ischämie": (("anterolateral ischemia",), ()),
    "st & t abnorm, wahrscheinlich anterolaterale ischämie oder linksbelastung": (
        (),
        ("anterolateral ischemia",),
    ),
    "low limb lead voltage": (_LIMB_VOLTAGE, ()),
    "periphere niederspannung": (_LIMB_VOLTAGE, ()),
}
"""Phrases that say something else, or more, than the finding they are used for: stated, hedged."""
