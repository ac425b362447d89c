"""Where a training keeps what it makes, in object storage."""

from __future__ import annotations

import msgspec

from pagemill.objects.keys import training_prefix


class TrainingPlaces(msgspec.Struct, frozen=True):
    """Keys below one training's prefix."""

    prefix: str

    @classmethod
    def of(cls, organization_id: str, training_id: str) -> TrainingPlaces:
        """Those of a training."""
        return cls(training_prefix(organization_id, training_id))

    @property
    def examples(self) -> str:
        """What it learns from, for its workers; removed when it has ended well."""
        return f"{self.prefix}examples.msgpack"

    @property
    def checkpoints(self) -> str:
        """The folder of Ray Train's run; removed when it has ended well."""
        return f"{self.prefix}run/"

    @property
    def artefact(self) -> str:
        """The prefix of what predictions are made with."""
        return f"{self.prefix}artefact/"

    @property
    def weights(self) -> str:
        return f"{self.artefact}weights.safetensors"

    @property
    def configuration(self) -> str:
        return f"{self.artefact}configuration.json"

    @property
    def evaluation(self) -> str:
        """Written last: where it is, the training has been done."""
        return f"{self.prefix}evaluation.json"
