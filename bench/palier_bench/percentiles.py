"""Percentiles of requests' times."""


def percentile(ordered: list[int], share: float) -> int:
    """The smallest of the times, given in order, that at least `share` of all do not exceed."""
    if not ordered:
        raise ValueError("no times")
    # Rounded first: 0.999 * 1000 must not become 1000 because it is a little more than 999.
    rank = -int(-round(share * len(ordered), 6) // 1)
    return ordered[max(rank, 1) - 1]
