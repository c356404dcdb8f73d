"""Tests of lflow."""
