"""Lessons: a question, a prediction, and what the particles say."""

from lflow.ui.lessons import page as lessons

lessons.show(__file__)
