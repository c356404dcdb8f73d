"""The page that trains a model in a process of its own, and watches it learn."""
