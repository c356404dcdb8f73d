// drawing.js: strokes on the picture, by pointer or by keys. One pen leaves ink; a stroke is a list of points
// [across, up] in the unit square of the view, and all panels show the same strokes.

const INK_SPACING = 0.005; // points nearer than that to the last one add nothing
const MOST_INK = 4000; // points, all strokes together
const INK_WIDTH = 5; // CSS pixels

const DRAWING_HINT = "Draw the target with mouse, pen or finger: mass goes where there is ink. By keyboard, arrows move "
  + "the pen, space puts it down and lifts it, Backspace undoes a stroke, Enter is Done, Escape leaves.";
const NO_INK_HINT = "There is no ink left. Press Done, or undo a stroke.";

function toggleDrawing(player) {
  enterMode(player, player.drawing ? {} : { drawing: { strokes: [], panel: 0, across: 0.5, up: 0.5, down: false } });
}

function inkUsed({ strokes }) {
  return strokes.reduce((sum, stroke) => sum + stroke.length, 0);
}

function addInk(drawing) {
  if (inkUsed(drawing) >= MOST_INK) drawing.down = false;
  if (!drawing.down) return;
  const point = [drawing.across, drawing.up].map((part) => Number(part.toFixed(4)));
  const stroke = drawing.strokes[drawing.strokes.length - 1];
  const last = stroke[stroke.length - 1];
  if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= INK_SPACING) stroke.push(point);
}

// Puts the pen down, which leaves a dot, or lifts it.
function setPen(drawing, down) {
  if (down && inkUsed(drawing) < MOST_INK) {
    drawing.strokes.push([]);
    drawing.down = true;
    addInk(drawing);
  } else drawing.down = false;
}

// To a point of the unit square, or to its edge.
function movePen(drawing, { across, up }) {
  Object.assign(drawing, { across: insideUnit(across), up: insideUnit(up) });
  addInk(drawing);
}

// Takes back the last stroke, or so many.
function undoStrokes(player, count = 1) {
  player.drawing.strokes.splice(-count, count);
  player.drawing.down = false;
  showDrawing(player);
}

function finishDrawing(player) {
  const { strokes } = player.drawing;
  if (strokes.length === 0) return;
  enterMode(player, {});
  player.setTriggerValue("drawn", strokes);
}

function showDrawing(player) {
  const { drawing, modeBar, root } = player;
  const { strokes, down } = drawing;
  const count = strokes.length === 1 ? "1 stroke" : `${strokes.length} strokes`;
  modeBar.hint.textContent = inkUsed(drawing) < MOST_INK ? DRAWING_HINT : NO_INK_HINT;
  modeBar.status.textContent = `${count}, pen ${down ? "down" : "up"}`;
  modeBar.needInk.forEach((button) => { button.disabled = strokes.length === 0; });
  root.dataset.strokes = strokes.length;
  showPointer(player, drawing);
  drawOverlays(player);
}

// What pointers do on a cloud while drawing; the first finger or button holds the pen.
function onDrawingPointer(player, panel, event) {
  const { drawing } = player;
  if (event.type === "pointerdown" && event.isPrimary && event.button === 0) {
    const at = partOfView(panel, event);
    if (!at.inside) return;
    panel.canvas.setPointerCapture(event.pointerId);
    Object.assign(drawing, at, { panel: player.panels.indexOf(panel), pointer: event.pointerId });
    setPen(drawing, true);
  } else if (event.pointerId !== drawing.pointer) return;
  else if (event.type === "pointermove") {
    // A browser reports several places in one event where the hand is faster than the screen.
    for (const each of [...(event.getCoalescedEvents?.() ?? []), event]) movePen(drawing, partOfView(panel, each));
  } else {
    drawing.pointer = null;
    setPen(drawing, false);
  }
  showDrawing(player);
}

function onDrawingKey(player, event) {
  const { drawing } = player;
  const moved = movedByKey(drawing, event);
  if (moved) movePen(drawing, moved);
  else if (event.key === " ") setPen(drawing, !drawing.down);
  else if (event.key === "Backspace") undoStrokes(player);
  else if (event.key === "Enter") finishDrawing(player);
  else if (event.key === "Escape") enterMode(player, {});
  else return false;
  if (player.drawing) showDrawing(player);
  return true;
}

// A veil of paper over the old picture, and the ink.
function paintInk({ overlay: context, view, ratio, theme }, strokes) {
  context.fillStyle = cssColour(theme.paper, 0.6);
  context.fillRect(0, 0, view.width, view.height);
  context.lineWidth = INK_WIDTH * ratio;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = cssColour(theme.ink);
  context.beginPath();
  for (const stroke of strokes) {
    stroke.forEach(([across, up], index) => {
      const at = [across * view.width, (1 - up) * view.height];
      if (index === 0) context.moveTo(...at);
      context.lineTo(...at); // a lone point becomes a round dot
    });
  }
  context.stroke();
}
