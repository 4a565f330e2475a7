"""Leaderboards: from records to tables, and from tables to Markdown, LaTeX and CSV."""
