"""What of a leaderboard is shown: a part of it, or all of it in one table."""
