"""What a probe learns from: features of one's own recordings, or of a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kmerl.evaluation.features_file import Features, read_features
from kmerl.evaluation.own_probe import Results
from kmerl.leads import parse_leads
from kmerl.predict import embedding
from kmerl.predict.model import load
from kmerl.predict.own_labels import OwnLabels, read_signals


@dataclass(frozen=True)
class Found:
    """Features by lead set; `why` has the reason where a (lead set, record) has none."""

    features: dict[str, Features]
    lead_sets: dict[str, tuple[str, ...]]
    source: str
    model: str = ""
    why: Mapping[tuple[str, str], str] = field(default_factory=dict)


def features_of(
    source: Path,
    table: OwnLabels,
    lead_sets: Mapping[str, tuple[str, ...]],
    model: str,
    threads: int,
    device: str,
) -> Found:
    """Of a Parquet file of features, or of the recordings in a folder through a model.

    Raises:
        FileNotFoundError, ValueError: a file is not as it must be.
    """
    if not source.is_dir():
        features = read_features(source)
        return Found(features, {key: _leads(key) for key in features}, source.name)
    loaded = load(model, device=device)
    grid = loaded.config.rate, loaded.config.samples
    signals = read_signals(source, table, lead_sets, *grid, threads)
    features, why = embedding.embed(loaded, signals, lead_sets)
    words = f"the encoder of the {loaded.config.method} model {loaded.digest[:12]}"
    return Found(features, dict(lead_sets), words, loaded.digest, why)


def explained(results: Results, found: Found, table: OwnLabels) -> Results:
    """With the reasons of recordings that have no features, and the rows that are none."""
    told = [
        (leads, name, record, found.why.get((leads, record), reason))
        for leads, name, record, reason in results.left_out
    ]
    return replace(results, left_out=[*told, *(("", "", *one) for one in table.rejected)])


def _leads(key: str) -> tuple[str, ...]:
    """The leads that a file's key names; none where it is no name of ours."""
    try:
        return parse_leads(key)
    except ValueError:
        return ()
