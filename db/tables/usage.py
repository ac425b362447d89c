"""Tables of usage and payment.

Months are ``YYYY-MM`` in UTC; ``total`` is the month of meters that are not counted by month.
"""

from __future__ import annotations

from decimal import Decimal

from piccolo.columns import JSONB, Integer, Numeric, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class UsageCounter(Table, tablename="usage_counter"):
    """The use of one meter by one organization in one month."""

    organization_id = Text(primary_key=True)
    month = Text(primary_key=True)
    meter = Text(primary_key=True)
    used = Numeric(default=Decimal(0))


class UsageReservation(Table, tablename="usage_reservation"):
    """Amount of a meter that is granted to a job: once for all its attempts, returned when it fails."""

    organization_id = Text()
    job_id = Text(primary_key=True)
    month = Text()
    meter = Text(primary_key=True)
    amount = Numeric(default=Decimal(0))


class LimitWarning(Table, tablename="limit_warning"):
    """A warning that was sent: ``threshold`` percent of a meter's limit are used in a month."""

    organization_id = foreign_key(Organization, primary_key=True)
    month = Text(primary_key=True)
    meter = Text(primary_key=True)
    threshold = Integer(primary_key=True)
    created_time = Timestamptz(default=TimestamptzNow())


class MonthStatement(Table, tablename="month_statement"):
    """The statement of a month, as it was when the month ended."""

    organization_id = foreign_key(Organization, primary_key=True)
    month = Text(primary_key=True)
    content = JSONB()
    created_time = Timestamptz(default=TimestamptzNow())


class PaymentMethod(Table, tablename="payment_method"):
    """A payment method. ``stripe_setup_intent_id`` is null when the operator collects the payments."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    details = JSONB(null=True, default=None)
    setup_intent_secret_hash = Text(null=True, default=None, help_text="sha256, hex")
    stripe_setup_intent_id = Text(null=True, default=None)
    stripe_payment_method_id = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)
