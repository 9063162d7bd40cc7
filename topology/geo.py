"""Lengths from coordinates."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

__all__ = ["great_circle_m", "route_length_m"]

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""
LONG_HAUL_M = 1_200_000.0
LONG_HAUL_FACTOR = 1.25


def great_circle_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Metres between two points in degrees, by the haversine formula."""
    north, east = radians(lat_b - lat_a), radians(lon_b - lon_a)
    h = sin(north / 2) ** 2 + cos(radians(lat_a)) * cos(radians(lat_b)) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(h)))


def route_length_m(air_m: float) -> float:
    """Cable length for an air distance: 1.25 times beyond 1200 km (ITU-T Y.1541 appendix III)."""
    return air_m * LONG_HAUL_FACTOR if air_m > LONG_HAUL_M else air_m
