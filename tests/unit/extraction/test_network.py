"""The tagger's scores have their shape, and do not depend on what else is in the batch."""

from __future__ import annotations

import pytest
import torch

from pagemill.extraction.network import Tagger
from pagemill.extraction.sheets import Sheet, collate, read_sheet
from pagemill.extraction.tagger_configuration import NetworkShape
from tests.unit.extraction.printed import page_of

SHAPE = NetworkShape(outputs=5, labels=1, maximum_span=4, hidden=12, embedding=8, layers=2)


@pytest.fixture(scope="module")
def network() -> Tagger:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return Tagger(SHAPE).eval()


def sheets() -> list[Sheet]:
    printed = [["Invoice 7", "Total 9.00"], ["Milk 2.00 cold"], ["a b", "c d", "e f"]]
    return [read_sheet([page_of(*lines)]) for lines in printed]


def emissions(network: Tagger, documents: list[Sheet]) -> list[torch.Tensor]:
    batch = collate(documents)
    with torch.inference_mode():
        scores, _ = network(batch.table)
    return list(scores.split([document.size for document in documents]))


def test_shapes(network: Tagger) -> None:
    scores, length_bias = network(collate(sheets()).table)
    assert scores.shape == (13, 5)
    assert length_bias.shape == (1, 4)


def test_every_document_is_scored_as_if_it_were_alone(network: Tagger) -> None:
    documents = sheets()
    together = emissions(network, documents)
    for document, scores in zip(documents, together, strict=True):
        (alone,) = emissions(network, [document])
        torch.testing.assert_close(scores, alone)


def test_the_order_of_documents_changes_nothing(network: Tagger) -> None:
    documents = sheets()
    forwards, backwards = emissions(network, documents), emissions(network, documents[::-1])
    for first, second in zip(forwards, backwards[::-1], strict=True):
        torch.testing.assert_close(first, second)


def test_words_are_hidden_in_training_only(network: Tagger) -> None:
    hiding = NetworkShape(5, 1, 4, hidden=12, embedding=8, layers=1, dropout=0.0, word_dropout=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        blind = Tagger(hiding)
        table = collate([sheets()[0]]).table
        seen, _ = blind.eval()(table)
        unseen, _ = blind.train()(table)
    assert not torch.allclose(seen, unseen)
    torch.testing.assert_close(blind.eval()(table)[0], seen)


def test_every_parameter_takes_part() -> None:
    network = Tagger(SHAPE)
    scores, length_bias = network(collate(sheets()).table)
    (scores.sum() + length_bias.sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_table_moves_to_a_device() -> None:
    table = collate(sheets()).table.to(torch.device("cpu"))
    assert table.number_of_pages == 3
    assert table.pieces.device.type == "cpu"
