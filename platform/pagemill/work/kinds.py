"""Registry of all kinds of jobs. A new kind is one module and one line here."""

from __future__ import annotations

from dataclasses import dataclass

from pagemill.jobs.kind import JobKinds
from pagemill.work.data_bundles import DATA_BUNDLE, DataBundleResources
from pagemill.work.limit_warnings import LIMIT_WARNINGS
from pagemill.work.mail import MAIL
from pagemill.work.month_statements import MONTH_STATEMENT
from pagemill.work.object_sweep import OBJECT_SWEEP
from pagemill.work.predictions import PREDICTION, PredictionResources
from pagemill.work.retention import RETENTION
from pagemill.work.trainings import TRAINING, TrainingResources
from pagemill.work.transformations import TRANSFORMATION
from pagemill.work.webhooks import WEBHOOK


@dataclass(frozen=True, kw_only=True)
class DispatcherResources(PredictionResources, DataBundleResources, TrainingResources):
    """Resources for the runners of all kinds."""


KINDS: JobKinds[DispatcherResources] = JobKinds(
    (
        PREDICTION,
        DATA_BUNDLE,
        TRAINING,
        TRANSFORMATION,
        RETENTION,
        OBJECT_SWEEP,
        MONTH_STATEMENT,
        MAIL,
        WEBHOOK,
        LIMIT_WARNINGS,
    )
)
