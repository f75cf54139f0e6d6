"""Whether a store can be used, and what is wrong with it."""

from typing import TYPE_CHECKING

from orchestrator.api.places import Place

if TYPE_CHECKING:
    from orchestrator.tracking.store_check import Finding


def check_store(place: Place | None = None) -> "list[Finding]":
    """What each check of a store and its ledger found, in the order in which they matter.

    Raises `RequestError` for addresses that cannot be used.
    """
    from orchestrator.tracking.store_check import check_store

    place = place or Place.chosen()
    return check_store(place.store, place.ledger)
