"""Objects of a training: their keys and files, and loading and saving its artefact.

The training job writes them; the prediction application and later trainings load the artefact.
"""

from __future__ import annotations

import hashlib

import msgspec

from pagemill.errors import ModelDamaged
from pagemill.extraction.artefact import Artefact
from pagemill.ids import OrganizationId, TrainingId
from pagemill.objects.keys import training_prefix
from pagemill.objects.store import ObjectMissing, ObjectStore

WEIGHTS_FILE = "weights.safetensors"
CONFIGURATION_FILE = "configuration.json"
DIGESTS_FILE = "digests.json"


class TrainingKeys(msgspec.Struct, frozen=True):
    """Keys of one training's objects, all below its prefix."""

    prefix: str

    @classmethod
    def of(cls, organization_id: OrganizationId, training_id: TrainingId) -> TrainingKeys:
        """Return the keys of a training."""
        return cls(training_prefix(organization_id, training_id))

    @property
    def examples(self) -> str:
        """Prefix of the examples of snapshots for the workers; deleted when the training has succeeded."""
        return f"{self.prefix}examples/"

    @property
    def checkpoints(self) -> str:
        """Prefix of Ray Train's checkpoints; deleted when the training has succeeded."""
        return f"{self.prefix}run/"

    @property
    def artefact(self) -> str:
        """Prefix of the artefact that predictions are made with."""
        return f"{self.prefix}artefact/"

    @property
    def gpu_seconds(self) -> str:
        """Key of the seconds that GPUs have spent on the training; written before the evaluation."""
        return f"{self.prefix}gpu-seconds.json"

    @property
    def evaluation(self) -> str:
        """Key of the evaluation. It is written last: where it exists, the training is done."""
        return f"{self.prefix}evaluation.json"


async def load_artefact(objects: ObjectStore, artefact_key: str) -> Artefact:
    """Return the artefact below a prefix. Raises ObjectMissing, ModelDamaged, Unavailable."""
    artefact = Artefact(
        weights=await objects.get(f"{artefact_key}{WEIGHTS_FILE}"),
        configuration=await objects.get(f"{artefact_key}{CONFIGURATION_FILE}"),
    )
    written = await _load_digests(objects, artefact_key)
    if written is not None and written != digests_of(artefact):
        raise ModelDamaged("The training's weights are damaged", detail=artefact_key)
    return artefact


async def save_artefact(objects: ObjectStore, artefact_key: str, artefact: Artefact) -> None:
    """Write the artefact below a prefix, with its digests. Raises Unavailable."""
    await objects.put(f"{artefact_key}{WEIGHTS_FILE}", artefact.weights)
    await objects.put(f"{artefact_key}{CONFIGURATION_FILE}", artefact.configuration)
    await objects.put(f"{artefact_key}{DIGESTS_FILE}", msgspec.json.encode(digests_of(artefact)))


def digests_of(artefact: Artefact) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    contents = {WEIGHTS_FILE: artefact.weights, CONFIGURATION_FILE: artefact.configuration}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


async def _load_digests(objects: ObjectStore, artefact_key: str) -> dict[str, str] | None:
    """Return the digests; None beside an artefact of a release that wrote none."""
    try:
        return msgspec.json.decode(await objects.get(f"{artefact_key}{DIGESTS_FILE}"), type=dict[str, str])
    except ObjectMissing:
        return None
    except msgspec.MsgspecError as error:
        raise ModelDamaged("The training's weights are damaged", detail=artefact_key) from error
