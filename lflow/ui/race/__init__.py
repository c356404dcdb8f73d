"""The page Race: its controls, its picture, its seeds."""
