"""Invitations by mail: they are valid for 90 days, and can be sent again."""

from __future__ import annotations

from db.mail import find_mail_refusal, mail_invitation
from db.one_time_codes import end_invitation_codes
from db.statements import Connection
from pagemill.errors import TooManyRequests
from pagemill.ids import AppClientId, OrganizationId, UserId
from pagemill.people.one_time_codes import INVITATION_DAYS, order_code

MAIL_RETRY_SECONDS = 3600


async def send_invitation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    user_id: UserId,
    address: str,
    app_client_id: AppClientId | None,
    acceptance_url: str,
) -> None:
    """Queue an invitation with a new code; codes of earlier ones of the same user end.

    The button leads to the login page of the app client, when it has one; the code is entered at
    ``acceptance_url``. Raises TooManyRequests when the address was mailed just now, or the organization's
    mail of the day is used up: that is the cool-down.
    """
    refusal = await find_mail_refusal(connection, organization_id=organization_id, address=address)
    if refusal is not None:
        raise TooManyRequests(f"email: {refusal}", retry_after_seconds=MAIL_RETRY_SECONDS)
    await end_invitation_codes(connection, user_id=user_id)
    await mail_invitation(
        connection,
        organization_id=organization_id,
        address=address,
        app_client_id=app_client_id,
        days=INVITATION_DAYS,
        code_id=await order_code(connection, "invite", address, user_id=user_id),
        acceptance_url=acceptance_url,
    )
