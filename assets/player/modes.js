// modes.js: what a click on a cloud means. At most one mode is on: placing the start, or drawing a target.

const PLACING_HINT = "Click where the cloud shall start, or move with the arrow keys and press Enter. Escape leaves.";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// The words and buttons of a mode, under the controls.
function buildModeBar(on) {
  const element = make("div", "mode-bar");
  const hint = make("p");
  const row = make("div", "mode-buttons");
  const done = makeTextButton("draw-done", "Done", "", on.done);
  const undo = makeTextButton("draw-undo", "Undo last stroke", "", on.undo);
  const clear = makeTextButton("draw-clear", "Clear", "", on.clear);
  const cancel = makeTextButton("draw-cancel", "Cancel", "", on.cancel);
  const status = make("output", "ink-status");
  status.dataset.testid = "ink-status";
  row.append(done, undo, clear, cancel, status);
  element.append(hint, row);
  return { element, hint, row, status, needInk: [done, undo, clear] };
}

function setMode(player, { placing = null, drawing = null } = {}) {
  if (placing || drawing) setHovered(player, null);
  change(player, { placing, drawing });
  const { root, modeBar } = player;
  modeBar.element.hidden = !placing && !drawing;
  modeBar.row.hidden = !drawing;
  if (placing) modeBar.hint.textContent = PLACING_HINT;
  root.classList.toggle("placing", Boolean(placing));
  root.classList.toggle("drawing", Boolean(drawing));
  showPointer(player, placing ?? drawing);
  if (drawing) showDrawing(player);
  else drawOverlays(player);
}

// A change of mode that the reader asked for: the keys now mean something else, so they are taken here.
function enterMode(player, mode) {
  setMode(player, mode);
  player.root.focus({ preventScroll: true });
}

// The ring that the arrow keys move, in one of the panels.
function showPointer({ panels }, at) {
  panels.forEach(({ pointer, view, ratio }, index) => {
    pointer.hidden = !at || at.panel !== index;
    if (pointer.hidden) return;
    pointer.style.left = `${(view.left + at.across * view.width) / ratio}px`;
    pointer.style.top = `${(view.top + (1 - at.up) * view.height) / ratio}px`;
    pointer.classList.toggle("down", Boolean(at.down));
  });
}

const insideUnit = (part) => Math.min(1, Math.max(0, part));

// Where an arrow key leads from a point of the unit square; null for another key.
function movedByKey({ across, up }, { key, shiftKey }) {
  if (!ARROWS[key]) return null;
  const [right, higher] = ARROWS[key].map((move) => move * (shiftKey ? 0.1 : 0.02));
  return { across: insideUnit(across + right), up: insideUnit(up + higher) };
}

function togglePlacing(player) {
  enterMode(player, player.placing ? {} : { placing: { panel: 0, across: 0.5, up: 0.5 } });
}

function placeByClick(player, panel, event) {
  const at = partOfView(panel, event);
  if (at.inside) place(player, at);
}

function place(player, { across, up }) {
  const [[x0, x1], [y0, y1]] = player.scene.bounds;
  enterMode(player, {});
  player.setTriggerValue("placed", { x: x0 + across * (x1 - x0), y: y0 + up * (y1 - y0) });
}

// While the start is being placed, arrows move the ring and Enter takes it.
function onPlacingKey(player, event) {
  const { placing } = player;
  const moved = movedByKey(placing, event);
  if (moved) setMode(player, { placing: { ...placing, ...moved } });
  else if (event.key === "Escape") enterMode(player, {});
  else if (event.key === "Enter") place(player, placing);
  else return false;
  return true;
}
