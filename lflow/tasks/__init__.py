"""What a trained model is for: a task asks what a model offers, and there is no list of models."""

from lflow.tasks.base import Outcome, Settings, Task
from lflow.tasks.perform import TASKS, find, offered, perform

__all__ = ["TASKS", "Outcome", "Settings", "Task", "find", "offered", "perform"]
