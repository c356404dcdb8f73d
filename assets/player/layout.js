// layout.js: how large everything is, from the width of the page. It draws nothing by itself.

const GAP = 16;
const NARROW = 560; // below: one thing under the other
const WIDE = 900; // from here on: metrics beside the clouds
const SIDE_METRICS = 290; // the least width of metrics beside the clouds

// Columns of panels and the width of one view: the largest that fits the width and the height, but rather beside
// each other, where eyes compare them, if that costs little.
function fitPanels(count, width, shape, narrow) {
  const height = Math.min(660, Math.max(440, window.innerHeight * 0.7));
  let best = { columns: 1, side: 0 };
  for (let columns = 1; columns <= (width < 480 ? 1 : count); columns++) {
    const rows = Math.ceil(count / columns);
    if (rows * columns !== count) continue; // not two and one, nor three and one
    const across = (width - GAP * (columns - 1)) / columns - shape.left - shape.right;
    const down = narrow ? Infinity : (height / rows - shape.top - shape.bottom) / shape.aspect;
    const side = Math.floor(Math.max(100, Math.min(across, down)));
    if (side >= 0.85 * best.side) best = { columns, side };
  }
  return best;
}

function layoutPlayer(player) {
  const { root, kind, scene, panels, charts, switches } = player;
  const width = root.clientWidth;
  if (width === 0) return false; // not shown yet, as in a closed tab: the observer calls again
  player.theme = readTheme(root);
  root.classList.toggle("dark", player.theme.dark);
  const narrow = width < NARROW;
  const inARow = panels.length === 2 || panels.length === 3; // side by side they take all the width
  const beside = width >= WIDE && charts.length > 0 && !inARow;
  root.classList.toggle("narrow", narrow);
  root.classList.toggle("beside", beside);
  const shape = kind.shape(scene, switches, narrow);
  const room = beside ? width - SIDE_METRICS - 2 * GAP : width;
  const { columns, side } = fitPanels(panels.length, room, shape, narrow);
  const panelWidth = side + shape.left + shape.right;
  const cloudsWidth = narrow ? width : Math.min(width, Math.max(460, columns * (panelWidth + GAP) - GAP));
  player.clouds.style.width = `${cloudsWidth}px`;
  player.panelBox.style.gridTemplateColumns = `repeat(${columns}, ${panelWidth}px)`;
  root.style.setProperty("--view-left", `${shape.left}px`); // titles and words begin where views do
  for (const panel of panels) {
    kind.layout(panel, scene, player.theme, shape, side, switches);
    if (kind.hovers(scene)) reserveReading(panel, kind);
  }
  reserveCaptions(panels);
  showSettings(player.controls, scene, player);
  showLegend(player.controls, scene.overlay, player.theme);
  layoutMetrics(player, beside ? width - cloudsWidth - 2 * GAP : width, beside);
  return true;
}

// Captions differ in length: keep room for the longest, so that nothing below moves while it plays, and views
// beside each other stay level.
function reserveCaptions(panels) {
  const longest = (texts) => texts.reduce((best, text) => (text.length > best.length ? text : best));
  for (const { caption, data } of panels) {
    caption.style.minHeight = "";
    caption.textContent = longest(data.captions);
  }
  const height = Math.max(...panels.map(({ caption }) => caption.offsetHeight));
  for (const { caption } of panels) caption.style.minHeight = `${height}px`;
}

function layoutMetrics({ charts, scene, theme, metricBox, clouds }, width, beside) {
  if (charts.length === 0) return;
  const fitting = Math.min(3, charts.length, Math.max(1, Math.floor(width / 270)));
  const below = fitting === 3 && charts.length === 4 ? 2 : fitting; // not three and one
  const columns = beside ? (width >= 600 && charts.length > 3 ? 2 : 1) : below;
  const rows = Math.ceil(charts.length / columns);
  const chartWidth = Math.floor(Math.min(560, (width - 1.5 * GAP * (columns - 1)) / columns));
  metricBox.style.gridTemplateColumns = `repeat(${columns}, ${chartWidth}px)`;
  const head = Math.max(...charts.map((chart) => chart.element.firstChild.offsetHeight));
  const room = clouds.offsetHeight / rows - head - GAP;
  const height = beside ? Math.floor(Math.min(190, Math.max(90 - head, room))) : 104;
  charts.forEach((chart, index) => {
    layoutChart(chart, scene, theme, chartWidth, height, index >= charts.length - columns);
  });
}
