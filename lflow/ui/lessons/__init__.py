"""The page Lessons: the format of a lesson, its runs, their facts, the page."""
