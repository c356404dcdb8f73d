// cloud.js: particles written straight into pixels. One pass moves, bins and paints them.

const HISTOGRAM_BINS = 60;
const SUBPIXELS = 4; // positions of a dot within a pixel, each axis: motion stays smooth at small sizes
const MASK_BUDGET = 1.3e6; // mask pixels a frame, all dots together: what a slow machine paints 60 times a second
const TRAIL_FRAMES = 12;
const TRAIL_PARTICLES = 150;

// Few particles are large soft dots, many are fine dust; the ink they carry together stays about the same.
function dotStyle(particles, width, height, ratio) {
  const size = Math.min(width, height) / ratio;
  const wanted = Math.min(4.2, Math.max(0.7, 2.1 * (2000 / particles) ** 0.32)) * Math.min(1, 0.55 + size / 1000);
  const reach = Math.max(1, Math.floor((Math.sqrt(MASK_BUDGET / particles) - 1) / 2));
  const radius = Math.min(wanted * ratio, reach);
  const share = (particles * Math.PI * radius ** 2) / (width * height);
  return { radius, alpha: Math.min(0.75, Math.max(0.12, 0.12 / share)) };
}

// Coverage of one soft dot (0..256) for each position within a pixel, one mask after another.
function makeSprites({ radius, alpha }) {
  const reach = Math.ceil(radius);
  const size = 2 * reach + 1;
  const masks = new Uint16Array(SUBPIXELS * SUBPIXELS * size * size);
  const softness = 0.5 + 0.25 * radius;
  let index = 0;
  for (let phase = 0; phase < SUBPIXELS * SUBPIXELS; phase++) {
    const centreX = ((phase % SUBPIXELS) + 0.5) / SUBPIXELS - 0.5;
    const centreY = (Math.floor(phase / SUBPIXELS) + 0.5) / SUBPIXELS - 0.5;
    for (let row = -reach; row <= reach; row++) {
      for (let column = -reach; column <= reach; column++) {
        const distance = Math.hypot(column - centreX, row - centreY);
        const coverage = Math.min(1, Math.max(0, (radius + softness / 2 - distance) / softness));
        masks[index++] = Math.round(256 * alpha * coverage);
      }
    }
  }
  return { reach, size, masks };
}

// How packed positions become pixels: the view is the middle 1/reach of what an int16 spans.
function pixelScale(width, height, reach) {
  return { x: (width * reach) / 2 / 32767, y: -(height * reach) / 2 / 32767, left: width / 2, top: height / 2 };
}

// Paints frame `frame`, moved by `blend` of the way to the next, over the pixels already there.
// Histograms count what is painted: binsX and binsY are overwritten.
function paintCloud(surface, positions, particles, frame, blend, binsX, binsY) {
  const { pixels, width, height, scale, sprites, colour } = surface;
  const { reach, size, masks } = sprites;
  const here = frame * particles * 2;
  const next = blend > 0 ? here + particles * 2 : here;
  const redBlue = colour & 0xff00ff, green = colour & 0x00ff00;
  binsX.fill(0);
  binsY.fill(0);
  for (let index = 0; index < particles * 2; index += 2) {
    let packedX = positions[here + index], packedY = positions[here + index + 1];
    if (packedX === NOT_DRAWN) continue;
    if (blend > 0) {
      if (positions[next + index] === NOT_DRAWN) continue;
      packedX += (positions[next + index] - packedX) * blend;
      packedY += (positions[next + index + 1] - packedY) * blend;
    }
    const x = packedX * scale.x + scale.left, y = packedY * scale.y + scale.top;
    if (x >= 0 && x < width) binsX[(x * HISTOGRAM_BINS / width) | 0]++;
    if (y >= 0 && y < height) binsY[HISTOGRAM_BINS - 1 - ((y * HISTOGRAM_BINS / height) | 0)]++;
    const column = Math.floor(x), row = Math.floor(y);
    if (column < -reach || column >= width + reach || row < -reach || row >= height + reach) continue;
    const phase = ((y - row) * SUBPIXELS | 0) * SUBPIXELS + ((x - column) * SUBPIXELS | 0);
    const fromColumn = Math.max(0, column - reach), toColumn = Math.min(width - 1, column + reach);
    const fromRow = Math.max(0, row - reach), toRow = Math.min(height - 1, row + reach);
    for (let pixelRow = fromRow; pixelRow <= toRow; pixelRow++) {
      let mask = (phase * size + pixelRow - row + reach) * size + fromColumn - column + reach;
      for (let pixel = pixelRow * width + fromColumn; pixel <= pixelRow * width + toColumn; pixel++, mask++) {
        const cover = masks[mask];
        if (cover === 0) continue;
        // Red and blue are blended in one multiplication: each has eight free bits above it.
        const below = pixels[pixel];
        const belowRedBlue = below & 0xff00ff, belowGreen = below & 0x00ff00;
        pixels[pixel] = 0xff000000
          | ((belowRedBlue + (Math.imul(redBlue - belowRedBlue, cover) >>> 8)) & 0xff00ff)
          | ((belowGreen + (Math.imul(green - belowGreen, cover) >>> 8)) & 0x00ff00);
      }
    }
  }
}

// The last frames of some particles as fading lines, the same particles all along.
function strokeTrails(context, surface, positions, particles, frame, blend) {
  const { scale, trailColour, ratio } = surface;
  const count = Math.min(particles, TRAIL_PARTICLES);
  const first = Math.max(0, frame - TRAIL_FRAMES);
  const last = blend > 0 ? frame + 1 : frame;
  context.lineWidth = 1.1 * ratio;
  context.lineCap = "round";
  for (let from = first; from < last; from++) {
    const part = from === frame ? blend : 1; // the last stretch leads only as far as the dot has come
    context.beginPath();
    for (let number = 0; number < count; number++) {
      const start = (from * particles + Math.floor((number * particles) / count)) * 2;
      const end = start + particles * 2;
      const startX = positions[start], startY = positions[start + 1];
      if (startX === NOT_DRAWN || positions[end] === NOT_DRAWN) continue;
      const endX = startX + (positions[end] - startX) * part, endY = startY + (positions[end + 1] - startY) * part;
      context.moveTo(startX * scale.x + scale.left, startY * scale.y + scale.top);
      context.lineTo(endX * scale.x + scale.left, endY * scale.y + scale.top);
    }
    const age = (frame + blend - from) / TRAIL_FRAMES;
    context.strokeStyle = cssColour(trailColour, 0.55 * Math.max(0, 1.05 - age) ** 1.5);
    context.stroke();
  }
}
