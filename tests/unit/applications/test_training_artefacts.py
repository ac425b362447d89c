"""Keys of a training's objects, and loading what was saved."""

from __future__ import annotations

import pytest

from pagemill.applications.training_artefacts import TrainingKeys, load_artefact, save_artefact
from pagemill.errors import ModelDamaged
from pagemill.extraction.artefact import Artefact
from pagemill.ids import OrganizationId, TrainingId
from pagemill.objects import ObjectMissing, ObjectStore

PREFIX = "organizations/o/trainings/t/"
ARTEFACT = Artefact(weights=b"weights", configuration=b"{}")


def test_everything_of_a_training_lies_below_its_prefix() -> None:
    keys = TrainingKeys.of(OrganizationId("las:organization:o"), TrainingId("las:model-training:t"))
    assert keys.prefix == PREFIX
    assert all(
        key.startswith(PREFIX)
        for key in (keys.examples, keys.checkpoints, keys.artefact, keys.evaluation, keys.gpu_seconds)
    )


async def test_an_artefact_is_loaded_as_it_was_saved(objects: ObjectStore) -> None:
    keys = TrainingKeys(PREFIX)
    await save_artefact(objects, keys.artefact, ARTEFACT)
    assert await load_artefact(objects, keys.artefact) == ARTEFACT
    assert await objects.get(f"{keys.artefact}weights.safetensors") == b"weights"
    assert await objects.get(f"{keys.artefact}configuration.json") == b"{}"


async def test_an_artefact_of_a_former_release_has_no_digests(objects: ObjectStore) -> None:
    keys = TrainingKeys(PREFIX)
    await save_artefact(objects, keys.artefact, ARTEFACT)
    await objects.delete(f"{keys.artefact}digests.json")
    assert await load_artefact(objects, keys.artefact) == ARTEFACT


@pytest.mark.parametrize("name", ["weights.safetensors", "configuration.json", "digests.json"])
async def test_a_damaged_artefact_is_named(objects: ObjectStore, name: str) -> None:
    keys = TrainingKeys(PREFIX)
    await save_artefact(objects, keys.artefact, ARTEFACT)
    await objects.put(f"{keys.artefact}{name}", b"{")
    with pytest.raises(ModelDamaged):
        await load_artefact(objects, keys.artefact)


async def test_an_artefact_that_is_gone(objects: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        await load_artefact(objects, TrainingKeys(PREFIX).artefact)
