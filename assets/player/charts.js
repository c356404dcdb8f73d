// charts.js: a metric as a small line chart. What lies ahead of the present frame is faint.

const CHART_MARGIN = { left: 40, top: 8, bottom: 6, steps: 18, right: 10 };

function buildChart(metric, scrubTo) {
  const element = make("div", "metric");
  const head = make("div", "metric-head");
  const name = make("span", "metric-name", metric.label);
  if (metric.help) {
    name.title = metric.help;
    name.classList.add("has-help");
  }
  const unit = make("span", "metric-unit", [metric.unit, metric.log ? "(log)" : ""].filter(Boolean).join(" "));
  const values = metric.series.map((series) => {
    const value = make("span", "metric-value");
    value.title = series.label;
    return value;
  });
  const row = make("span", "metric-values");
  row.append(...values);
  head.append(name, unit, make("span", "spring"), row);
  const canvas = make("canvas", "chart");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${metric.label} over time${metric.help ? `: ${metric.help}` : ""}`);
  element.append(head, canvas);
  const chart = { metric, element, canvas, context: canvas.getContext("2d"), values };
  const scrub = (event) => {
    if (event.buttons & 1) scrubTo(chartPart(chart, event.offsetX));
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    scrub(event);
  };
  canvas.onpointermove = scrub;
  return chart;
}

// How far along the steps a pointer is, 0 to 1.
function chartPart({ area, ratio }, offsetX) {
  return Math.min(1, Math.max(0, (offsetX * ratio - area.left) / area.width));
}

// The range of values: a run that blows up would flatten all that came before it, so it may leave at the top.
function valueRange(metric) {
  const levels = metric.lines.flatMap((line) => [line.value, ...(line.band ?? [])]);
  const usable = (value) => Number.isFinite(value) && (!metric.log || value > 0);
  const all = metric.series.flatMap((series) => Array.from(series.values).filter(usable));
  const firsts = metric.series.map((series) => Array.from(series.values).find(usable)).filter(usable);
  const middle = Float64Array.from(all, Math.abs).sort()[all.length >> 1] ?? 1;
  const limit = Math.max(middle, ...[...firsts, ...levels].map(Math.abs)) * (metric.log ? 1000 : 8);
  const shown = [...all.filter((value) => Math.abs(value) <= limit), ...levels.filter(usable)];
  if (shown.length === 0) return metric.log ? [0.1, 1] : [0, 1];
  const low = shown.reduce((least, value) => Math.min(least, value));
  const high = shown.reduce((most, value) => Math.max(most, value));
  if (metric.log) return [low / 1.25, Math.max(high, low * 2) * 1.25];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 && low < room * 4 ? 0 : low - room, high + room];
}

function valueTicks([low, high], log) {
  if (!log) return niceTicks(low, high, 2.5);
  const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high));
  if (last < first) return niceTicks(low, high, 2);
  const every = Math.max(1, Math.ceil((last - first) / 2));
  const ticks = [];
  for (let power = first; power <= last; power += every) {
    ticks.push({ value: 10 ** power, text: formatNumber(10 ** power, 1).replace(/^1×/, "") });
  }
  return ticks;
}

// Two layers: `back` has all that is always seen, `front` the curves at full strength.
function layoutChart(chart, scene, theme, width, height, withSteps) {
  const { metric, canvas } = chart;
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const named = metric.series.length > 1 || (scene.panels.length > 1 && metric.series[0].label);
  const right = named ? nameRoom(chart, theme, width) : CHART_MARGIN.right;
  const bottom = withSteps ? CHART_MARGIN.steps : CHART_MARGIN.bottom;
  const area = {
    left: CHART_MARGIN.left * ratio, top: CHART_MARGIN.top * ratio,
    width: canvas.width - (CHART_MARGIN.left + right) * ratio,
    height: canvas.height - (CHART_MARGIN.top + bottom) * ratio,
  };
  const range = valueRange(metric);
  const [low, high] = metric.log ? range.map(Math.log10) : range;
  const firstStep = scene.steps[0], lastStep = scene.steps[scene.frames - 1];
  Object.assign(chart, {
    area, ratio, theme,
    toX: (step) => area.left + ((step - firstStep) / (lastStep - firstStep || 1)) * area.width,
    toY: (value) => area.top + (1 - ((metric.log ? Math.log10(value) : value) - low) / (high - low)) * area.height,
    colours: metric.series.map((series) => theme.panelColour(scene.panels[series.panel])),
  });
  chart.back = chartLayer(canvas);
  chart.front = chartLayer(canvas);
  drawScale(chart, valueTicks(range, metric.log), withSteps ? stepLabels(scene) : []);
  drawCurves(chart, chart.front, scene, 1);
  drawCurves(chart, chart.back, scene, 0.3);
  drawLines(chart);
  if (named) drawNames(chart, scene);
  chart.values.forEach((value, index) => {
    value.style.setProperty("--series-colour", cssColour(chart.colours[index]));
  });
}

// Names stand right of the curves, in at most a quarter of the chart.
function nameRoom({ metric, context }, theme, width) {
  context.font = `11px ${theme.font}`;
  const widths = metric.series.map((series) => context.measureText(series.label).width);
  return Math.min(Math.max(...widths) + 10, width * 0.38);
}

function chartLayer(canvas) {
  const layer = document.createElement("canvas");
  layer.width = canvas.width;
  layer.height = canvas.height;
  return layer.getContext("2d");
}

// The first and the last number under the axis; what is counted is said where it is not steps.
function stepLabels({ steps, frames, step_word }) {
  const last = steps[frames - 1].toLocaleString("en");
  return [steps[0].toLocaleString("en"), step_word === "step" ? last : `${last} ${step_word}s`];
}

function drawScale({ back, area, ratio, theme, toY }, ticks, labels) {
  const bottom = area.top + area.height;
  back.strokeStyle = cssColour(theme.border);
  back.lineWidth = 1;
  back.beginPath();
  back.moveTo(area.left - 0.5, area.top);
  back.lineTo(area.left - 0.5, bottom + 0.5);
  back.lineTo(area.left + area.width, bottom + 0.5);
  back.font = `${11 * ratio}px ${theme.font}`;
  back.fillStyle = cssColour(theme.quiet);
  back.textAlign = "right";
  back.textBaseline = "middle";
  for (const { value, text } of ticks) {
    const y = Math.round(toY(value)) + 0.5;
    back.moveTo(area.left - 1, y);
    back.lineTo(area.left - 1 - 3 * ratio, y);
    back.fillText(text, area.left - 6 * ratio, y);
  }
  back.stroke();
  back.textBaseline = "top";
  labels.forEach((label, index) => {
    back.textAlign = index ? "right" : "left";
    back.fillText(label, area.left + index * area.width, bottom + 5 * ratio);
  });
}

function drawCurves({ metric, area, ratio, colours, toX, toY }, context, scene, alpha) {
  context.save();
  context.beginPath();
  context.rect(area.left, area.top - 2 * ratio, area.width + 2 * ratio, area.height + 4 * ratio);
  context.clip();
  context.lineWidth = 1.6 * ratio;
  context.lineJoin = "round";
  context.lineCap = "round";
  metric.series.forEach((series, index) => {
    context.strokeStyle = cssColour(colours[index], alpha);
    context.setLineDash(series.dash ? [1 * ratio, 4 * ratio] : []);
    context.beginPath();
    let drawing = false;
    series.values.forEach((value, frame) => {
      const there = Number.isFinite(value) && (!metric.log || value > 0);
      if (there && !drawing) context.moveTo(toX(scene.steps[frame]), toY(value));
      if (there) context.lineTo(toX(scene.steps[frame]), toY(value)); // a lone value becomes a round dot
      drawing = there;
    });
    context.stroke();
  });
  context.restore();
}

// Floors, closed forms and bands, with their names on a halo of paper.
function drawLines({ metric, back, area, ratio, theme, toY }) {
  back.font = `${11 * ratio}px ${theme.font}`;
  back.textAlign = "left";
  for (const line of metric.lines) {
    if (metric.log && line.value <= 0) continue;
    const y = Math.round(toY(line.value)) + 0.5;
    if (line.band) {
      const low = metric.log && line.band[0] <= 0 ? area.top + area.height : toY(line.band[0]);
      back.fillStyle = cssColour(theme.ink, 0.09);
      back.fillRect(area.left, toY(line.band[1]), area.width, low - toY(line.band[1]));
    }
    back.strokeStyle = cssColour(theme.ink, 0.6);
    back.lineWidth = ratio;
    back.beginPath();
    back.moveTo(area.left, y);
    back.lineTo(area.left + area.width, y);
    back.stroke();
    const above = y - area.top > area.height * 0.4;
    back.textBaseline = above ? "bottom" : "top";
    back.strokeStyle = cssColour(theme.paper, 0.85);
    back.lineWidth = 3 * ratio;
    const at = [line.label, area.left + 5 * ratio, y + (above ? -2 : 3) * ratio];
    back.strokeText(...at);
    back.fillStyle = cssColour(theme.quiet);
    back.fillText(...at);
  }
}

// Names at the ends of the curves, pushed apart where they would overlap.
function drawNames({ metric, back, area, ratio, theme, colours, toY }, scene) {
  const names = metric.series.map((series, index) => {
    const last = series.values.findLast((value) => Number.isFinite(value) && (!metric.log || value > 0));
    const y = last === undefined ? area.top : toY(last);
    const inside = Math.min(area.top + area.height, Math.max(area.top, y));
    return { text: series.label, colour: colours[index], y: inside };
  });
  names.sort((first, second) => first.y - second.y);
  const gap = 12 * ratio;
  names.forEach((name, index) => { if (index) name.y = Math.max(name.y, names[index - 1].y + gap); });
  const over = names[names.length - 1].y - (area.top + area.height);
  if (over > 0) names.forEach((name, index) => { name.y = Math.max(area.top + index * gap, name.y - over); });
  back.font = `${11 * ratio}px ${theme.font}`;
  back.textAlign = "left";
  back.textBaseline = "middle";
  const room = back.canvas.width - area.left - area.width - 7 * ratio;
  for (const name of names) {
    let text = name.text;
    while (text.length > 1 && back.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
    back.fillStyle = cssColour(mixColours(name.colour, theme.ink, 0.15));
    back.fillText(text, area.left + area.width + 7 * ratio, name.y);
  }
}

function drawChart(chart, scene, frame) {
  const { metric, context, canvas, area, ratio, theme, colours, toX, toY } = chart;
  const x = toX(scene.steps[frame]);
  const past = Math.max(1, Math.round(x));
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(chart.back.canvas, 0, 0);
  context.drawImage(chart.front.canvas, 0, 0, past, canvas.height, 0, 0, past, canvas.height);
  context.fillStyle = cssColour(theme.ink, 0.55);
  context.fillRect(Math.round(x - ratio / 2), area.top, ratio, area.height);
  metric.series.forEach((series, index) => {
    const value = series.values[frame];
    const text = formatNumber(value);
    if (chart.values[index].textContent !== text) chart.values[index].textContent = text;
    const y = toY(value);
    if (!(y >= area.top - 1 && y <= area.top + area.height + 1)) return; // also where it is not a number
    context.fillStyle = cssColour(colours[index]);
    context.strokeStyle = cssColour(theme.paper);
    context.lineWidth = 1.5 * ratio;
    context.beginPath();
    context.arc(x, y, 3.2 * ratio, 0, 2 * Math.PI);
    context.stroke();
    context.fill();
  });
}
