// contours.js: level lines of a grid by marching squares. Row 0 is the lowest y; values sit at cell centres.

// For each of the 16 ways that four corners can lie above the level: pairs of edges to join.
// Edges: 0 below, 1 right, 2 above, 3 left; corners as bits: 1 lower left, 2 lower right, 4 upper right, 8 upper left.
const CONTOUR_EDGES = [
  [], [3, 0], [0, 1], [3, 1], [1, 2], [3, 0, 1, 2], [0, 2], [3, 2],
  [2, 3], [2, 0], [0, 1, 2, 3], [2, 1], [1, 3], [1, 0], [0, 3], [],
];

// The level line as a Path2D over a rectangle of `width` by `height` pixels, y pointing down.
function contourPath(values, [rows, columns], level, width, height) {
  const path = new Path2D();
  const pixelX = (column) => ((column + 0.5) / columns) * width;
  const pixelY = (row) => (1 - (row + 0.5) / rows) * height;
  for (let row = 0; row < rows - 1; row++) {
    for (let column = 0; column < columns - 1; column++) {
      const at = row * columns + column;
      const lowerLeft = values[at], lowerRight = values[at + 1];
      const upperLeft = values[at + columns], upperRight = values[at + columns + 1];
      const shape = (lowerLeft > level) | ((lowerRight > level) << 1) | ((upperRight > level) << 2)
        | ((upperLeft > level) << 3);
      if (shape === 0 || shape === 15) continue;
      if (!Number.isFinite(lowerLeft + lowerRight + upperLeft + upperRight)) continue;
      const edges = CONTOUR_EDGES[shape];
      for (let index = 0; index < edges.length; index++) {
        let x = column, y = row;
        if (edges[index] === 0) x += (level - lowerLeft) / (lowerRight - lowerLeft);
        else if (edges[index] === 2) { x += (level - upperLeft) / (upperRight - upperLeft); y += 1; }
        else if (edges[index] === 3) y += (level - lowerLeft) / (upperLeft - lowerLeft);
        else { x += 1; y += (level - lowerRight) / (upperRight - lowerRight); }
        if (index % 2 === 0) path.moveTo(pixelX(x), pixelY(y));
        else path.lineTo(pixelX(x), pixelY(y));
      }
    }
  }
  return path;
}

// Heights above the lowest energy: close together where the mass is, then ever wider.
const ENERGY_STEPS = [0.5, 1, 2, 4, 6, 9, 14, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

function energyLevels(values) {
  let lowest = Infinity, highest = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  const range = highest - lowest;
  const steps = range < 2 ? [0.1, 0.3, 0.5, 0.7, 0.9].map((part) => part * range) : ENERGY_STEPS;
  return steps.filter((step) => step < range).map((step) => lowest + step);
}

// Parts of the peak at which the exact flow is drawn; its bytes are square roots of the density.
const FLOW_LEVELS = [0.05, 0.25, 0.5, 0.75].map((part) => 255 * Math.sqrt(part));
