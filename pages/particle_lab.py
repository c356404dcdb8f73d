"""Particle lab."""

import streamlit as st

st.title("Particle lab")
