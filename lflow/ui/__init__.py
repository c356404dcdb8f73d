"""The app: the only part of lflow that imports streamlit, plotly and altair."""
