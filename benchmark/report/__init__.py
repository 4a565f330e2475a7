"""Leaderboards, reports, publication, reproduction and tracking."""
