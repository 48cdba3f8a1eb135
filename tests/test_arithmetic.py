"""Operations of a model: what is counted equals what can be counted by hand."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from kmerl.cost import arithmetic
from kmerl.models.vit import SIZES
from tests.methods import DEMO

ENTITIES, TEXT = 7, 12
SHORT = {
    **DEMO,
    "ingest": {**DEMO["ingest"], "rate": 100, "seconds": 4},
    "query_network": {**DEMO["query_network"], "layers": 1},
}


def config(method: str = "kmerl", **changes):
    """The demo's model on records of 400 samples; `changes` like encoder={"tokens": "joint"}."""
    values = {**SHORT, "method": method}
    for section, held in changes.items():
        values[section] = {**values[section], **held}
    return arithmetic.described(values, ENTITIES, TEXT)


def block(tokens: int, width: int) -> int:
    """A transformer block: four projections, an MLP four times as wide, two attention products."""
    return 2 * tokens * width * width * (4 + 8) + 4 * tokens * tokens * width


def test_products_attention_and_convolutions_are_counted():
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    assert arithmetic.counted(lambda: a @ b) == 2 * 3 * 4 * 5
    heads = torch.randn(2, 3, 10, 8)
    attend = arithmetic.counted(lambda: F.scaled_dot_product_attention(heads, heads, heads))
    assert attend == 2 * 3 * 2 * (2 * 10 * 10 * 8)
    signal, kernel = torch.randn(1, 2, 20), torch.randn(4, 2, 5)
    assert arithmetic.counted(lambda: F.conv1d(signal, kernel, stride=5)) == 2 * 4 * 4 * 2 * 5


@pytest.mark.parametrize(
    ("tokens", "leads", "expected"), [("lead", 12, 48), ("joint", 12, 4), ("lead", 1, 4)]
)
def test_encoding_is_a_tokenizer_and_blocks(tokens, leads, expected):
    made = config(encoder={"tokens": tokens})
    size = SIZES[made.sections["encoder"]["size"]]
    read = 12 if tokens == "joint" else 1
    tokenizer = 2 * expected * 100 * read * size.width
    blocks = size.depth * block(expected, size.width)
    assert arithmetic.encoding(made, leads) == tokenizer + blocks


def test_training_is_the_mean_over_the_numbers_of_leads_that_the_mask_shows():
    one, two = (
        arithmetic.training(config(mask={"leads": "fixed", "min_leads": masked}), batch=4)
        for masked in (11, 10)
    )
    drawn = arithmetic.training(config(mask={"min_leads": 10}), batch=4)
    assert drawn == pytest.approx((one + two) / 2)
    assert two > 1.5 * one


@pytest.mark.parametrize(("method", "leads"), [("kmerl", 2), ("simclr", 12)])
def test_a_record_of_a_large_batch_costs_what_the_whole_batch_does(method, leads):
    """SimCLR draws its noise on the device, so that it is counted on computed numbers."""
    made = config(method, mask={"leads": "fixed", "min_leads": 10})
    model = arithmetic.model_on("cpu", made)
    batch = arithmetic.shown(made, 8, leads, "cpu")
    whole = arithmetic.counted(
        lambda: arithmetic.loss(model, batch, torch.Generator().manual_seed(0)).backward()
    )
    assert arithmetic.training(made, batch=8) == pytest.approx(whole / 8, rel=0.01)


def test_a_method_that_has_nothing_to_learn_is_counted_as_it_is_fine_tuned():
    made = config("random")
    assert arithmetic.training(made, 4) == pytest.approx(
        3 * arithmetic.encoding(made, 12), rel=0.05
    )


def test_only_a_query_network_is_asked():
    assert arithmetic.asking(config("merl"), 1, 5, 2) == 0
    few, many = (arithmetic.asking(config(), 1, names, 2) for names in (5, 50))
    assert 0 < few < many


def test_what_is_described_is_what_is_trained():
    made = config()
    assert (made.rate, made.samples, len(made.entities)) == (100, 400, ENTITIES)
    assert dataclasses.asdict(made)["sections"]["encoder"] == SHORT["encoder"]
