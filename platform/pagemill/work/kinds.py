"""Registry of all kinds of jobs, by role. A new kind is one module, one line here and its name in ``roles``.

A role is what a dispatcher is for: dispatchers of one role run in processes of their own, with the resources
that the kinds of the role need and no others. On one machine that of housekeeping may run workflows, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagemill.jobs.kind import JobKinds
from pagemill.work.audit_retention import AUDIT_RETENTION
from pagemill.work.containers import COMPLETED_TASK, CONTAINER, ContainerResources
from pagemill.work.data_bundles import DATA_BUNDLE, DataBundleResources
from pagemill.work.erasures import ERASURE
from pagemill.work.functions import FUNCTION, FunctionResources
from pagemill.work.limit_warnings import LIMIT_WARNINGS
from pagemill.work.mail import MAIL
from pagemill.work.month_statements import MONTH_STATEMENT
from pagemill.work.object_sweep import OBJECT_SWEEP
from pagemill.work.predictions import PREDICTION, PredictionResources
from pagemill.work.resources import WorkResources
from pagemill.work.retention import RETENTION
from pagemill.work.roles import Role
from pagemill.work.trainings import TRAINING, TrainingResources
from pagemill.work.transformations import TRANSFORMATION
from pagemill.work.webhooks import WEBHOOK
from pagemill.work.workflow_timers import WORKFLOW_TIMER


@dataclass(frozen=True, kw_only=True)
class LongResources(DataBundleResources, TrainingResources):
    """Resources for the runners of long jobs."""


@dataclass(frozen=True, kw_only=True)
class WorkflowResources(FunctionResources, ContainerResources):
    """Resources for the runners of steps."""


INTERACTIVE: JobKinds[PredictionResources] = JobKinds((PREDICTION, TRANSFORMATION))
LONG: JobKinds[LongResources] = JobKinds((DATA_BUNDLE, TRAINING))
HOUSEKEEPING: JobKinds[WorkResources] = JobKinds(
    (RETENTION, ERASURE, OBJECT_SWEEP, MONTH_STATEMENT, MAIL, WEBHOOK, LIMIT_WARNINGS, AUDIT_RETENTION)
)
WORKFLOWS: JobKinds[WorkflowResources] = JobKinds((FUNCTION, CONTAINER, COMPLETED_TASK, WORKFLOW_TIMER))

KINDS_OF_ROLE: Mapping[Role, JobKinds[Any]] = {
    Role.INTERACTIVE: INTERACTIVE,
    Role.LONG: LONG,
    Role.HOUSEKEEPING: HOUSEKEEPING,
    Role.WORKFLOWS: WORKFLOWS,
}
KINDS: JobKinds[Any] = JobKinds(kind for kinds in KINDS_OF_ROLE.values() for kind in kinds)
