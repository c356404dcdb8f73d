// images.js: a grid of small images, drawn crisp; a switch shows a number of each pixel as a colour instead. The
// sibling of panel.js: it draws a given frame and knows no clock.

const FRAME_ROOM = 4; // CSS pixels around the grid, for the outline of an image at its edge
const LEAST_GAP = 2; // CSS pixels between two images
const EVEN_PIXEL = 3; // canvas pixels: an image's pixel of at least so many is a whole number of them

// What the player asks of panels that show images.
const IMAGES = {
  shape: ({ panels: [{ images }] }) => {
    const { columns, rows } = gridOf(images.shape);
    const [, , height, width] = images.shape;
    return { left: 0, right: 0, top: 2, bottom: 2, aspect: (rows * height) / (columns * width) };
  },
  layout: layoutImages,
  draw: drawImages,
  switches: ({ overlay }) => (overlay ? ["overlay"] : []),
  hovers: () => true,
  count: ({ images }) => images.shape[1],
  pointed: pointedImage,
  inSight: () => true,
  mark: paintOutline,
  hint: "Point at an image, or press p.",
  reading: readingOfImage,
  longestReading: () => IMAGES.hint,
};

// As square as the number of images allows.
function gridOf([, count]) {
  const columns = Math.ceil(Math.sqrt(count));
  return { columns, rows: Math.ceil(count / columns) };
}

// Cells and gaps in canvas pixels: all gaps are even, and all pixels of an image too, unless they are very small.
function cellsWithin(width, shape, ratio) {
  const [, , imageHeight, imageWidth] = shape;
  const { columns, rows } = gridOf(shape);
  const least = Math.round(LEAST_GAP * ratio);
  const free = width - least * (columns - 1);
  const pixel = Math.floor(free / (columns * imageWidth));
  const cell = pixel >= EVEN_PIXEL ? pixel * imageWidth : Math.floor(free / columns);
  const over = columns > 1 ? Math.floor((width - columns * cell) / (columns - 1)) : 0;
  const gap = Math.min(over, Math.max(least, Math.round(cell / 6)));
  return { columns, rows, width: cell, height: Math.round((cell * imageHeight) / imageWidth), gap };
}

function layoutImages(panel, scene, theme, shape, side) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const { data } = panel;
  const [, , height, width] = data.images.shape;
  const cells = cellsWithin(Math.round(side * ratio), data.images.shape, ratio);
  const room = Math.round(FRAME_ROOM * ratio);
  const view = {
    left: 0, right: 0, top: Math.round(shape.top * ratio), bottom: Math.round(shape.bottom * ratio),
    width: cells.columns * (cells.width + cells.gap) - cells.gap + 2 * room,
    height: cells.rows * (cells.height + cells.gap) - cells.gap + 2 * room,
  };
  sizePanel(panel, theme, view, ratio);
  panel.element.classList.add("images");
  panel.plot.style.marginLeft = `${-room / ratio}px`; // the grid, not the room around it, begins where its title does
  const atlas = document.createElement("canvas");
  atlas.width = cells.columns * width;
  atlas.height = cells.rows * height;
  panel.atlas = atlas.getContext("2d");
  panel.image = panel.atlas.createImageData(atlas.width, atlas.height);
  panel.pixels = new Uint32Array(panel.image.data.buffer);
  panel.ramp = scene.overlay && Uint32Array.from({ length: 256 }, (_, byte) =>
    pixelColour(rampColour(theme, scene.overlay, byte / 255)));
  Object.assign(panel, { cells, room, measured: scene.overlay });
}

// Towards the high end colours fade into the paper, of which they stay apart.
function rampColour(theme, overlay, share) {
  const colour = theme.panelColour(overlay);
  const faint = mixColours(theme.paper, theme.ink, 0.07);
  const depth = 1 - share;
  return depth < 0.6 ? mixColours(faint, colour, depth / 0.6) : mixColours(colour, theme.ink, depth - 0.6);
}

function drawImages(panel, frame, blend, { overlay }) {
  const { atlas, image, context, view, cells, room, data } = panel;
  const [, count, height, width] = data.images.shape;
  if (overlay && data.overlay) fillRamp(panel, frame);
  else fillImages(panel, frame);
  atlas.putImageData(image, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  context.imageSmoothingEnabled = false;
  for (let number = 0; number < count; number++) {
    const column = number % cells.columns, row = Math.floor(number / cells.columns);
    const from = [column * width, row * height, width, height];
    const [x, y] = cornerOf(cells, room, number);
    context.drawImage(atlas.canvas, ...from, x, view.top + y, cells.width, cells.height);
  }
}

// The upper left corner of an image, in pixels of the view.
function cornerOf({ columns, width, height, gap }, room, number) {
  return [room + (number % columns) * (width + gap), room + Math.floor(number / columns) * (height + gap)];
}

// Calls `paint(place in the atlas, image, row, column)` for each pixel of each image.
function eachPixel({ cells, data }, paint) {
  const [, count, height, width] = data.images.shape;
  for (let number = 0; number < count; number++) {
    const left = (number % cells.columns) * width, top = Math.floor(number / cells.columns) * height;
    for (let row = 0; row < height; row++) {
      let place = (top + row) * cells.columns * width + left;
      for (let column = 0; column < width; column++) paint(place++, number, row, column);
    }
  }
}

function fillImages(panel, frame) {
  const { pixels, data: { images: { values, shape } } } = panel;
  const [, count, height, width, channels = 1] = shape;
  let at = frame * count * height * width * channels;
  const green = channels === 3 ? 1 : 0, blue = 2 * green;
  eachPixel(panel, (place) => {
    pixels[place] = 0xff000000 | (values[at + blue] << 16) | (values[at + green] << 8) | values[at];
    at += channels;
  });
}

function fillRamp(panel, frame) {
  const { pixels, ramp, data: { overlay: { values, shape } } } = panel;
  const [, count, height, width] = shape; // one by one where an image has one number
  const start = frame * count * height * width;
  const down = height > 1 ? width : 0, across = width > 1 ? 1 : 0;
  eachPixel(panel, (place, number, row, column) => {
    pixels[place] = ramp[values[start + number * height * width + row * down + column * across]];
  });
}

// The image under a pointer; a gap belongs to the image before it.
function pointedImage(player, { view, cells, room, data }, at) {
  const column = Math.floor((at.across * view.width - room) / (cells.width + cells.gap));
  const row = Math.floor(((1 - at.up) * view.height - room) / (cells.height + cells.gap));
  const number = row * cells.columns + column;
  const there = column >= 0 && row >= 0 && column < cells.columns && number < data.images.shape[1];
  return there ? number : null;
}

function paintOutline({ hovered }, { overlay: context, cells, room, ratio, theme, colour }) {
  const [x, y] = cornerOf(cells, room, hovered.number);
  for (const [away, width, style] of [[1.5, 3, cssColour(theme.paper)], [2, 2, cssColour(colour)]]) {
    const off = away * ratio;
    context.lineWidth = width * ratio;
    context.strokeStyle = style;
    context.strokeRect(x - off, y - off, cells.width + 2 * off, cells.height + 2 * off);
  }
}

function readingOfImage({ hovered, shown }, { data, measured }) {
  const name = `Image ${(hovered.number + 1).toLocaleString("en")}`;
  if (!data.overlay) return `${name}.`;
  const [, count, height, width] = data.overlay.shape;
  const start = (shown.frame * count + hovered.number) * height * width;
  const bytes = data.overlay.values.subarray(start, start + height * width);
  const ends = [Math.min(...bytes), Math.max(...bytes)];
  const [least, most] = ends.map((byte) => formatNumber(measuredBy(measured, byte), 2));
  return `${name}: ${measured.label.toLowerCase()} ${least === most ? least : `${least} to ${most}`}.`;
}

// The number that a byte of an overlay stands for.
function measuredBy({ low, high, log }, byte) {
  const share = byte / 255;
  return log ? low * (high / low) ** share : low + (high - low) * share;
}

// The colours of the overlay, between the numbers at their ends.
function buildLegend() {
  const legend = make("span", "legend");
  legend.append(make("span"), make("span", "ramp"), make("span"), make("span"));
  legend.hidden = true;
  return legend;
}

function showLegend({ legend, switches }, overlay, theme) {
  if (!overlay) return;
  const [low, ramp, high, unit] = legend.children;
  switches.overlay.lastChild.textContent = overlay.label;
  switches.overlay.title = [overlay.help, "(o)"].filter(Boolean).join(" ");
  low.textContent = formatNumber(overlay.low, 2);
  high.textContent = formatNumber(overlay.high, 2);
  unit.textContent = overlay.log ? "(log)" : "";
  const stops = [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => cssColour(rampColour(theme, overlay, share)));
  ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
}
