// decode.js: reads the byte format of lflow/ui/packing.py. It knows nothing of drawing.

const NOT_DRAWN = -32768;
const SECTION_TYPES = { int16: Int16Array, int32: Int32Array, uint8: Uint8Array, float32: Float32Array };

// Streamlit hands over a view into a larger message, at any offset. A DataView does not mind.
function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic !== "LFP1") throw new Error("The player was given bytes that it cannot read.");
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  return { header, bodyStart: Math.ceil((8 + length) / 8) * 8 };
}

// The header with every section number replaced by a typed array (or null), shapes beside it.
function readScene({ header, bodyStart }, bytes) {
  const body = bytes.slice(bodyStart); // a copy of its own begins aligned, as typed arrays need
  const section = (number) => {
    if (number === null) return null;
    const { offset, shape, dtype } = header.sections[number];
    const length = shape.reduce((product, size) => product * size, 1);
    return { values: new SECTION_TYPES[dtype](body.buffer, offset, length), shape };
  };
  const cloud = (panel) => ({
    positions: section(panel.positions).values,
    particles: header.sections[panel.positions].shape[1],
    density: section(panel.density),
    energy: section(panel.energy),
    flow: section(panel.flow),
    proposal: section(panel.proposal),
    marginal_x: section(panel.marginal_x)?.values,
    marginal_y: section(panel.marginal_y)?.values,
  });
  const images = (panel) => ({ images: section(panel.images), overlay: section(panel.overlay) });
  const panels = header.panels.map((panel) => ({ ...panel, ...("images" in panel ? images : cloud)(panel) }));
  const metrics = header.metrics.map((metric) => ({
    ...metric,
    series: metric.series.map((series) => ({ ...series, values: section(series.values).values })),
  }));
  const steps = section(header.steps).values;
  return { ...header, steps, frames: steps.length, panels, metrics };
}
