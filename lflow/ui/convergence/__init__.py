"""The page Convergence: its controls and its four views."""
