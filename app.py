"""The entry of the app: `streamlit run app.py` serves the frame in lflow/ui/shell.py."""

import streamlit as st

app = st.App("lflow/ui/shell.py")
