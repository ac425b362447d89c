"""Places of workers whose training was killed: Ray keeps them reserved, so they are given back here.

A placement group ends with its creator only where the job ends too, and the job of detached actors goes on.
Ray Train's own cleaner was seen to leave them. A GPU, or a node that was asked for, would be held for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ray._private.state import state
from ray._raylet import PlacementGroupID
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, remove_placement_group

LOOK_SECONDS = 0.5
LOOKS = 20
"""Ray notices within seconds that those whom a killed driver has started are dead."""

logger = logging.getLogger(__name__)


def free_abandoned_places() -> int:
    """Remove the placement groups whose creator, an actor, is dead; return their number. Blocks."""
    freed = 0
    # Neither the table nor the State API of Ray says who has created a group.
    for encoded in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(encoded)
        if _is_abandoned(group):
            remove_placement_group(PlacementGroup(PlacementGroupID(group.placement_group_id)))
            logger.info("the place of a killed training is free again")
            freed += 1
    return freed


async def free_when_abandoned() -> None:
    """Look for some seconds for placement groups whose creator has just been killed, and remove them."""
    for _ in range(LOOKS):
        # What is missed now is found when the next training begins.
        with contextlib.suppress(RayError):
            await asyncio.to_thread(free_abandoned_places)
        await asyncio.sleep(LOOK_SECONDS)


def _is_abandoned(group: PlacementGroupTableData) -> bool:
    created_by_actor = bool(group.creator_actor_id.strip(b"\xff"))
    removed = group.state == PlacementGroupTableData.PlacementGroupState.REMOVED
    return created_by_actor and group.creator_actor_dead and not group.is_detached and not removed
