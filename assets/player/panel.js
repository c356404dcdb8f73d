// panel.js: one cloud over its target, with marginals at the edges. It draws a given frame and knows no clock.
// Its first functions make and size what every panel has; images.js is its sibling.

const MARGIN = { left: 34, bottom: 20, edge: 8, strip: 42 }; // CSS pixels around the view

// What the player asks of panels that show clouds.
const CLOUDS = {
  shape: (scene, switches, narrow) => panelShape(scene.bounds, switches.marginals, narrow),
  layout: layoutPanel,
  draw: drawPanel,
  switches: (scene) => ["trails", "marginals", ...(scene.panels.some(({ flow }) => flow) ? ["flow"] : []), "between"],
  hovers: (scene) => scene.panels.some(({ proposal }) => proposal),
  count: ({ particles }) => particles,
  pointed: nearestParticle,
  inSight: placeOfParticle,
  mark: paintParticle,
  hint: "Point at a particle, or press p, to see where its next step may lead.",
  reading: readingOfParticle,
  longestReading: ({ particles, proposal_name }) =>
    stepInWords(`Particle ${particles.toLocaleString("en")}`, proposal_name, 0.0011, 0.0011, 0.0011),
};

function buildPanel(data, alt) {
  const element = make("figure", "panel");
  const title = make("figcaption", "panel-title");
  title.append(make("span", "swatch"), make("span", "", data.label));
  title.hidden = !data.label;
  const plot = make("div", "plot");
  const canvas = make("canvas", "cloud");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", data.label ? `${data.label}: ${alt}` : alt);
  const banner = make("p", "banner", data.banner);
  banner.hidden = true;
  const pointer = make("div", "pointer");
  pointer.hidden = true;
  const layer = make("canvas", "overlay");
  layer.hidden = true;
  plot.append(canvas, layer, banner, pointer);
  const caption = make("p", "caption");
  const reading = make("p", "reading");
  element.append(title, plot, reading);
  return {
    data, element, title, plot, canvas, banner, pointer, caption, reading,
    context: canvas.getContext("2d"),
    overlay: layer.getContext("2d"), // over the view: ink, or the marks of what is pointed at
  };
}

// The canvas around a view {left, top, width, height, right, bottom} in its pixels, and what lies over it.
function sizePanel(panel, theme, view, ratio) {
  const { canvas, data } = panel;
  canvas.width = view.left + view.width + view.right;
  canvas.height = view.top + view.height + view.bottom;
  canvas.style.width = `${canvas.width / ratio}px`;
  canvas.style.height = `${canvas.height / ratio}px`;
  const layer = panel.overlay.canvas;
  layer.width = view.width;
  layer.height = view.height;
  Object.assign(layer.style, {
    left: `${view.left / ratio}px`, top: `${view.top / ratio}px`,
    width: `${view.width / ratio}px`, height: `${view.height / ratio}px`,
  });
  Object.assign(panel, { view, ratio, theme, colour: theme.panelColour(data) });
  panel.element.style.setProperty("--panel-colour", cssColour(panel.colour));
  panel.banner.style.insetInline = `${view.left / ratio + 8}px ${view.right / ratio + 8}px`;
  panel.banner.style.bottom = `${view.bottom / ratio + 8}px`;
}

// The margins around the view, and its shape: as the bounds have it, unless that is very long.
function panelShape(bounds, marginals, narrow) {
  const [[x0, x1], [y0, y1]] = bounds;
  const strip = marginals ? MARGIN.strip * (narrow ? 0.75 : 1) : MARGIN.edge;
  return {
    left: MARGIN.left, bottom: MARGIN.bottom, top: strip, right: strip,
    aspect: Math.min(1.25, Math.max(0.55, (y1 - y0) / (x1 - x0))),
  };
}

// Everything that changes only with size, theme or data; `side` is the width of the view in CSS pixels.
function layoutPanel(panel, scene, theme, shape, side, { marginals }) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const view = {
    left: Math.round(shape.left * ratio), top: Math.round(shape.top * ratio),
    width: Math.round(side * ratio), height: Math.round(side * shape.aspect * ratio),
    right: Math.round(shape.right * ratio), bottom: Math.round(shape.bottom * ratio),
  };
  const { context, data } = panel;
  sizePanel(panel, theme, view, ratio);
  Object.assign(panel, {
    marginals, flowCache: new Map(),
    binsX: new Float32Array(HISTOGRAM_BINS), binsY: new Float32Array(HISTOGRAM_BINS),
  });
  panel.image = context.createImageData(view.width, view.height);
  panel.base = paintBase(data, theme, view, ratio);
  panel.surface = {
    pixels: new Uint32Array(panel.image.data.buffer),
    width: view.width, height: view.height, ratio,
    scale: pixelScale(view.width, view.height, scene.reach),
    sprites: makeSprites(dotStyle(data.particles, view.width, view.height, ratio)),
    colour: pixelColour(panel.colour),
    trailColour: mixColours(panel.colour, theme.ink, 0.35),
  };
  panel.truth = marginalStrips(data, scene.bounds, view);
  drawAxes(panel, scene.bounds);
}

// The view as opaque pixels: paper, the target's density, contours of the energy.
function paintBase(data, theme, view, ratio) {
  const layer = document.createElement("canvas");
  layer.width = view.width;
  layer.height = view.height;
  const context = layer.getContext("2d", { willReadFrequently: true });
  context.fillStyle = cssColour(theme.paper);
  context.fillRect(0, 0, view.width, view.height);
  if (data.density) {
    context.imageSmoothingQuality = "high";
    context.drawImage(densityImage(data.density, theme), 0, 0, view.width, view.height);
  }
  if (data.energy) {
    context.lineWidth = 0.75 * ratio;
    energyLevels(data.energy.values).forEach((level, index) => {
      context.strokeStyle = cssColour(theme.ink, Math.max(0.1, 0.3 - 0.02 * index));
      context.stroke(contourPath(data.energy.values, data.energy.shape, level, view.width, view.height));
    });
  }
  return new Uint32Array(context.getImageData(0, 0, view.width, view.height).data.buffer);
}

// One pixel a cell, the top row first, in shades from paper to grey-blue.
function densityImage({ values, shape: [rows, columns] }, theme) {
  const layer = document.createElement("canvas");
  layer.width = columns;
  layer.height = rows;
  const shades = Uint32Array.from({ length: 256 }, (_, value) =>
    pixelColour(mixColours(theme.paper, theme.shade, 0.8 * (value / 255) ** 1.3)));
  const pixels = new Uint32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      pixels[(rows - 1 - row) * columns + column] = shades[values[row * columns + column]];
    }
  }
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows);
  layer.getContext("2d").putImageData(image, 0, 0);
  return layer;
}

// The strips at the top and at the right: how a density is drawn there, and the true marginal as a line.
function marginalStrips(data, [[x0, x1], [y0, y1]], view) {
  const right = view.left + view.width + 1, bottom = view.top + view.height;
  const strip = (values, range, length, depth, place) => {
    const peak = (values && Math.max(...values)) || 3 / range;
    const made = { range, length, place, unit: (0.72 * depth) / peak };
    return { ...made, path: stripPath(values ?? [], made) };
  };
  return {
    x: strip(data.marginal_x, x1 - x0, view.width, view.top,
      (along, height) => [view.left + along, view.top - 1 - height]),
    y: strip(data.marginal_y, y1 - y0, view.height, view.right,
      (along, height) => [right + height, bottom - along]),
  };
}

function stripPath(values, { length, unit, place }) {
  const path = new Path2D();
  let drawing = false;
  values.forEach((value, index) => {
    const height = value * unit;
    const visible = height > 0.5; // where there is nothing, a line would only thicken the frame
    if (visible) path[drawing ? "lineTo" : "moveTo"](...place(((index + 0.5) / values.length) * length, height));
    drawing = visible;
  });
  return path;
}

// A frame around the view, with few numbers: they never change between two layouts.
function drawAxes({ context, view, ratio, theme }, [[x0, x1], [y0, y1]]) {
  context.lineWidth = 1;
  context.strokeStyle = cssColour(theme.border);
  context.strokeRect(view.left - 0.5, view.top - 0.5, view.width + 1, view.height + 1);
  context.fillStyle = cssColour(theme.quiet);
  context.font = `${11 * ratio}px ${theme.font}`;
  context.beginPath();
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, text } of niceTicks(x0, x1, view.width > 320 * ratio ? 5 : 4)) {
    const x = Math.round(view.left + ((value - x0) / (x1 - x0)) * view.width) + 0.5;
    context.moveTo(x, view.top + view.height + 1);
    context.lineTo(x, view.top + view.height + 1 + 3 * ratio);
    context.fillText(text, x, view.top + view.height + 6 * ratio);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, text } of niceTicks(y0, y1, view.height > 320 * ratio ? 5 : 4)) {
    const y = Math.round(view.top + (1 - (value - y0) / (y1 - y0)) * view.height) + 0.5;
    context.moveTo(view.left - 1, y);
    context.lineTo(view.left - 1 - 3 * ratio, y);
    context.fillText(text, view.left - 6 * ratio, y);
  }
  context.stroke();
}

function drawPanel(panel, frame, blend, { trails, flow }) {
  const { context, view, surface, data, binsX, binsY } = panel;
  surface.pixels.set(panel.base);
  paintCloud(surface, data.positions, data.particles, frame, blend, binsX, binsY);
  context.putImageData(panel.image, view.left, view.top);
  if (trails || (flow && data.flow)) {
    context.save();
    context.beginPath();
    context.rect(view.left, view.top, view.width, view.height);
    context.clip();
    context.translate(view.left, view.top);
    if (trails) strokeTrails(context, surface, data.positions, data.particles, frame, blend);
    if (flow && data.flow) strokeFlow(panel, frame);
    context.restore();
  }
  if (panel.marginals) drawMarginals(panel, flow && data.flow ? flowPaths(panel, frame) : null);
}

// The continuous-time flow as paths: contours in the view, marginals in the strips. Traced once a frame and kept.
function flowPaths({ view, data, truth, flowCache }, frame) {
  if (!flowCache.has(frame)) {
    const [, rows, columns] = data.flow.shape;
    const values = data.flow.values.subarray(frame * rows * columns, (frame + 1) * rows * columns);
    const contours = new Path2D();
    for (const level of FLOW_LEVELS) {
      contours.addPath(contourPath(values, [rows, columns], level, view.width, view.height));
    }
    const marginalX = new Float64Array(columns), marginalY = new Float64Array(rows);
    values.forEach((value, index) => { // bytes are square roots of the density
      marginalX[index % columns] += value * value;
      marginalY[Math.floor(index / columns)] += value * value;
    });
    const x = stripPath(asDensity(marginalX, truth.x), truth.x);
    const y = stripPath(asDensity(marginalY, truth.y), truth.y);
    flowCache.set(frame, { contours, x, y });
  }
  return flowCache.get(frame);
}

// Sums over cells as a density: its integral over the bounds is one.
function asDensity(sums, { range }) {
  const total = sums.reduce((sum, value) => sum + value, 0) || 1;
  return sums.map((value) => (value / total) * (sums.length / range));
}

function strokeFlow(panel, frame) {
  const { context, ratio, theme } = panel;
  const { contours } = flowPaths(panel, frame);
  context.lineCap = "round";
  context.lineWidth = 2.75 * ratio;
  context.strokeStyle = cssColour(theme.paper, 0.6); // a halo of paper keeps the ink readable over the dots
  context.stroke(contours);
  context.lineWidth = 1.1 * ratio;
  context.strokeStyle = cssColour(theme.ink);
  context.stroke(contours);
}

// Histograms of what was just painted: areas are parts of all particles, so that lost ones are missed.
function drawMarginals({ context, view, ratio, data, truth, binsX, binsY, colour, theme }, flow) {
  const right = view.left + view.width + 1, bottom = view.top + view.height;
  context.clearRect(view.left, 0, context.canvas.width, view.top - 1); // the strips, not the numbers beside them
  context.clearRect(right, view.top, context.canvas.width, view.height);
  context.fillStyle = cssColour(colour, 0.55);
  context.beginPath();
  const unitX = (truth.x.unit * HISTOGRAM_BINS) / (data.particles * truth.x.range);
  const unitY = (truth.y.unit * HISTOGRAM_BINS) / (data.particles * truth.y.range);
  for (let bin = 0; bin < HISTOGRAM_BINS; bin++) {
    const height = Math.min(view.top - 2 * ratio, binsX[bin] * unitX);
    const depth = Math.min(view.right - 2 * ratio, binsY[bin] * unitY);
    const left = Math.round((bin / HISTOGRAM_BINS) * view.width);
    const width = Math.round(((bin + 1) / HISTOGRAM_BINS) * view.width) - left;
    const low = Math.round((bin / HISTOGRAM_BINS) * view.height);
    const thickness = Math.round(((bin + 1) / HISTOGRAM_BINS) * view.height) - low;
    context.rect(view.left + left, view.top - 1 - height, width, height);
    context.rect(right, bottom - low - thickness, depth, thickness);
  }
  context.fill();
  context.lineWidth = 1.25 * ratio;
  context.lineJoin = "round";
  context.strokeStyle = cssColour(theme.ink, 0.85);
  context.stroke(truth.x.path);
  context.stroke(truth.y.path);
  if (flow) strokeDashed(context, ratio, view, [flow.x, flow.y]);
}

// The marginals of the exact flow: dashes tell them from the target's. Early ones are higher than the strips.
function strokeDashed(context, ratio, view, paths) {
  context.save();
  context.beginPath();
  context.rect(view.left, 0, view.width, view.top);
  context.rect(view.left + view.width, view.top, view.right, view.height);
  context.clip();
  context.setLineDash([4 * ratio, 3 * ratio]);
  paths.forEach((path) => context.stroke(path));
  context.restore();
}

// Where a pointer is, in the unit square of the view.
function partOfView({ canvas, view, ratio }, { clientX, clientY }) {
  const { left, top } = canvas.getBoundingClientRect();
  const across = ((clientX - left) * ratio - view.left) / view.width;
  const up = 1 - ((clientY - top) * ratio - view.top) / view.height;
  return { across, up, inside: across >= 0 && across <= 1 && up >= 0 && up <= 1 };
}
