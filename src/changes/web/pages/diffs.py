"""A unified diff as rows to draw."""

from changes.projects.diffs import FileDiff, Line, first_lines, parse, text_of

__all__ = ["FileDiff", "Line", "first_lines", "parse", "text_of"]
