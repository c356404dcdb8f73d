// theme.js: colours and type from Streamlit's --st-* variables, and how numbers are written.

const colourContext = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// Any CSS colour as [red, green, blue]: the canvas knows every notation.
function parseColour(text) {
  colourContext.clearRect(0, 0, 1, 1);
  colourContext.fillStyle = "#000";
  colourContext.fillStyle = text;
  colourContext.fillRect(0, 0, 1, 1);
  return [...colourContext.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

function mixColours(from, to, amount) {
  return from.map((channel, index) => Math.round(channel + (to[index] - channel) * amount));
}

function cssColour([red, green, blue], alpha = 1) {
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

// As a little-endian pixel: the bytes of an ImageData are red, green, blue, alpha.
function pixelColour([red, green, blue]) {
  return (255 << 24) | (blue << 16) | (green << 8) | red;
}

function readTheme(element) {
  const styles = getComputedStyle(element);
  const variable = (name, fallback) => styles.getPropertyValue(name).trim() || fallback;
  const paper = parseColour(variable("--st-background-color", "#ffffff"));
  const ink = parseColour(variable("--st-text-color", "#1a1c20"));
  const dark = 0.2126 * paper[0] + 0.7152 * paper[1] + 0.0722 * paper[2] < 110;
  return {
    dark,
    paper,
    ink,
    quiet: mixColours(paper, ink, 0.62),
    border: mixColours(paper, ink, 0.2),
    shade: dark ? [74, 94, 122] : [150, 170, 196], // the target's density at its peak: a neutral grey-blue
    font: variable("--st-font", "sans-serif"),
    panelColour: (panel) => parseColour(dark ? panel.colour_dark : panel.colour_light),
  };
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// Three figures, a true minus sign, powers of ten as they are written by hand.
function formatNumber(value, figures = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) {
    const [mantissa, exponent] = value.toExponential(Math.max(0, figures - 2)).split("e");
    const raised = [...String(Math.abs(Number(exponent)))].map((digit) => SUPERSCRIPTS[digit]).join("");
    return `${mantissa}×10${Number(exponent) < 0 ? "⁻" : ""}${raised}`.replace("-", "−");
  }
  const decimals = size === 0 ? 0 : Math.max(0, figures - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(decimals, 4)).replace("-", "−");
}

// About `count` round numbers within [low, high], and as many decimals as they need.
function niceTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const away = (factor) => Math.abs(Math.log((factor * power) / rough));
  const step = [1, 2, 5, 10].reduce((best, factor) => (away(factor) < away(best) ? factor : best)) * power;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) {
    const value = index * step;
    const text = Math.abs(step) >= 1e5 || step < 1e-4 ? formatNumber(value).replace(".0×", "×") : value.toFixed(decimals);
    ticks.push({ value, text: text.replace("-", "−") });
  }
  return ticks;
}
