// hover.js: one particle or image, by its number, marked in every panel, with words about it. Of a particle, where
// its next step may lead: an ellipse at one standard deviation of the proposal around its mean. Proposals come as
// grids over the view; between cells they are blended.

const HOVER_REACH = 12; // CSS pixels between a pointer and the particle that it means
const CYCLED = 8; // particles or images that the key p goes through

// `hovered` is { number, pinned } or null; one that is pinned stays when the pointer leaves.
function setHovered(player, hovered) {
  const { root, hovered: before } = player;
  if (hovered?.number === before?.number && hovered?.pinned === before?.pinned) return;
  player.hovered = hovered;
  if (hovered) root.dataset.hovered = hovered.number;
  else delete root.dataset.hovered;
  drawOverlays(player);
}

function onHover(player, panel, { type, pointerType, clientX, clientY }) {
  const touch = pointerType === "touch";
  if (!player.kind.hovers(player.scene) || (type === "click") !== touch) return;
  const at = partOfView(panel, { clientX, clientY });
  const number = type === "pointerleave" || !at.inside ? null : player.kind.pointed(player, panel, at);
  if (number !== null) setHovered(player, { number, pinned: touch });
  else if (touch || !player.hovered?.pinned) setHovered(player, null);
}

// Goes through a few, the ones in sight; false where there is nothing to show.
function cycleHovered(player) {
  const { kind, scene, panels, hovered } = player;
  if (!kind.hovers(scene)) return false;
  const count = Math.min(...panels.map(({ data }) => kind.count(data)));
  const stride = Math.max(1, Math.floor(count / CYCLED));
  for (let turn = 1; turn <= CYCLED; turn++) {
    const number = (((hovered?.number ?? -stride) + turn * stride) % count + count) % count;
    if (!panels.some((panel) => kind.inSight(player, panel, number))) continue;
    setHovered(player, { number, pinned: true });
    return true;
  }
  return false;
}

// Where a particle is painted, in the unit square of the view; null where it is out of the picture.
function placeOfParticle({ scene, shown }, { data }, particle) {
  if (particle >= data.particles) return null;
  const { positions, particles } = data;
  const here = (shown.frame * particles + particle) * 2;
  const next = shown.blend > 0 ? here + particles * 2 : here;
  if (positions[here] === NOT_DRAWN || positions[next] === NOT_DRAWN) return null;
  const [across, up] = [0, 1].map((axis) => {
    const packed = positions[here + axis] + (positions[next + axis] - positions[here + axis]) * shown.blend;
    return 0.5 + (packed * scene.reach) / 2 / 32767;
  });
  return across >= 0 && across <= 1 && up >= 0 && up <= 1 ? { across, up } : null;
}

function nearestParticle(player, panel, at) {
  const { positions, particles } = panel.data;
  const { view, ratio } = panel;
  const packed = (part) => ((part - 0.5) * 2 * 32767) / player.scene.reach;
  const x = packed(at.across), y = packed(at.up);
  const pixelsX = (view.width * player.scene.reach) / 2 / 32767 / ratio;
  const pixelsY = (view.height * player.scene.reach) / 2 / 32767 / ratio;
  const { frame, blend } = player.shown;
  const here = frame * particles * 2, next = blend > 0 ? here + particles * 2 : here;
  let nearest = null, least = HOVER_REACH ** 2;
  for (let particle = 0; particle < particles; particle++) {
    const index = particle * 2;
    const atX = positions[here + index] + (positions[next + index] - positions[here + index]) * blend;
    const atY = positions[here + index + 1] + (positions[next + index + 1] - positions[here + index + 1]) * blend;
    const distance = ((atX - x) * pixelsX) ** 2 + ((atY - y) * pixelsY) ** 2;
    if (distance < least && placeOfParticle(player, panel, particle)) {
      nearest = particle;
      least = distance;
    }
  }
  return nearest;
}

// Mean step and standard deviations (x, y, x, y) at a place; null where a cell around it has none.
function proposalAt({ values, shape: [, rows, columns] }, { across, up }) {
  const column = Math.min(columns - 1, Math.max(0, across * columns - 0.5));
  const row = Math.min(rows - 1, Math.max(0, up * rows - 0.5));
  const left = Math.min(columns - 2, Math.floor(column)), low = Math.min(rows - 2, Math.floor(row));
  const right = column - left, above = row - low;
  const blended = [0, 1, 2, 3].map((field) => {
    const corner = (field * rows + low) * columns + left;
    const below = values[corner] * (1 - right) + values[corner + 1] * right;
    const over = values[corner + columns] * (1 - right) + values[corner + columns + 1] * right;
    return below * (1 - above) + over * above;
  });
  return blended.every(Number.isFinite) ? blended : null;
}

// What the marks and the words of one panel need.
function hoveredIn(player, panel) {
  const at = placeOfParticle(player, panel, player.hovered.number);
  const { proposal } = panel.data;
  return { at, step: at && proposal ? proposalAt(proposal, at) : null };
}

function paintParticle(player, panel) {
  const { overlay: context, view, ratio, theme, colour } = panel;
  const { at, step } = hoveredIn(player, panel);
  if (!at) return;
  const [[x0, x1], [y0, y1]] = player.scene.bounds;
  const x = at.across * view.width, y = (1 - at.up) * view.height;
  const dot = new Path2D(), ellipse = new Path2D(), way = new Path2D();
  dot.arc(x, y, 2.5 * ratio, 0, 2 * Math.PI);
  if (step) {
    const unitX = view.width / (x1 - x0), unitY = view.height / (y1 - y0);
    const meanX = x + step[0] * unitX, meanY = y - step[1] * unitY;
    ellipse.ellipse(meanX, meanY, step[2] * unitX, step[3] * unitY, 0, 0, 2 * Math.PI);
    way.moveTo(x, y);
    way.lineTo(meanX, meanY);
  } else ellipse.arc(x, y, 7 * ratio, 0, 2 * Math.PI); // a mark that is no proposal, in ink
  const stroke = (path, width, style) => {
    context.lineWidth = width * ratio;
    context.strokeStyle = style;
    context.stroke(path);
  };
  const paper = cssColour(theme.paper, 0.8), ink = cssColour(theme.ink);
  context.fillStyle = paper; // the cloud under the ellipse has the same colour
  context.fill(ellipse);
  stroke(ellipse, 6, paper);
  stroke(dot, 4, paper);
  stroke(way, 1.6, ink);
  context.fillStyle = ink;
  context.fill(dot);
  stroke(ellipse, 2.2, step ? cssColour(colour) : ink);
}

function showReading(player, panel) {
  const { kind, scene, panels, drawing, placing, hovered } = player;
  panel.reading.hidden = !kind.hovers(scene);
  if (panel.reading.hidden) return;
  const hint = panel === panels[0] && !drawing && !placing ? kind.hint : "";
  panel.reading.textContent = hovered ? kind.reading(player, panel) : hint;
}

function readingOfParticle(player, panel) {
  const name = `Particle ${player.hovered.number.toLocaleString("en")}`;
  const { at, step } = hoveredIn(player, panel);
  if (!at) return `${name} is out of the picture.`;
  if (!panel.data.proposal) return `${name}: its next place is not one Gaussian, so there is no ellipse.`;
  if (!step) return `${name}: the step is not finite here.`;
  return stepInWords(name, panel.data.proposal_name, Math.hypot(step[0], step[1]), step[2], step[3]);
}

function stepInWords(name, step, mean, spreadX, spreadY) {
  const [moved, x, y] = [mean, spreadX, spreadY].map((value) => formatNumber(value, 2));
  return `${name}: ${step} moves it by ${moved} on average and spreads it by ${x} (x) and ${y} (y).`;
}

// Room for the longest words, so that nothing below moves.
function reserveReading({ reading, data }, kind) {
  reading.style.minHeight = "";
  reading.textContent = kind.longestReading(data);
  reading.style.minHeight = `${reading.offsetHeight}px`;
}
