"""Engine of durable jobs: rows in Postgres that are queued, claimed, leased, retried and ended.

It knows no kind of job. A kind declares itself as a ``pagemill.jobs.kind.JobKind``, in ``pagemill.work``.
"""
