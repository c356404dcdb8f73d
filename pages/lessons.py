"""Lessons: a question, a prediction, and what the particles say."""

from lflow.ui import lessons

lessons.show(__file__)
