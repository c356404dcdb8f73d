// What a reader does once is one entry of the browser's history.
//
// Streamlit adds an entry for each value that a script writes into the address: a preset makes as many as it has
// controls, and leaving a page makes one with an address that was never shown. Here all that follow the first one
// take its place, until the reader acts again. A control that changes its own entry makes none, and adds none later.
(() => {
  if (window.lflowHistory) return;
  window.lflowHistory = true;
  let hasEntry = false;
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  history.pushState = (...entry) => {
    if (hasEntry) replace(...entry);
    else push(...entry);
    hasEntry = true;
  };
  history.replaceState = (...entry) => {
    replace(...entry);
    hasEntry = true;
  };
  for (const act of ["pointerdown", "keydown", "popstate"]) {
    window.addEventListener(act, () => { hasEntry = false; }, true);
  }
})();
