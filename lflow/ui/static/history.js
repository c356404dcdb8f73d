// What a reader does once is one entry of the browser's history.
//
// Streamlit adds an entry for each value that a script writes into the address: a preset makes as many as it has
// controls, and leaving a page makes one with an address that was never shown. Here all that follow the first one
// take its place, until the reader acts again.
(() => {
  if (window.lflowHistory) return;
  window.lflowHistory = true;
  let hasEntry = false;
  const push = history.pushState.bind(history);
  history.pushState = (...entry) => {
    if (hasEntry) history.replaceState(...entry);
    else push(...entry);
    hasEntry = true;
  };
  for (const act of ["pointerdown", "keydown", "popstate"]) {
    window.addEventListener(act, () => { hasEntry = false; }, true);
  }
})();
