"""The page AniLA: its controls, its views, their words and charts."""
