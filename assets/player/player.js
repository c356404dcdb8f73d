// player.js: the state of each player, its one clock, and the component that Streamlit calls.

const HOLD_SECONDS = 0.9; // on the last frame, before the run starts again
const players = new WeakMap(); // by parent element: Streamlit calls again on every rerun and theme change

function createPlayer(parentElement) {
  const root = make("section", "player");
  root.dataset.testid = "player";
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  const stage = make("div", "stage");
  const clouds = make("div", "clouds");
  const panelBox = make("div", "panels");
  const metricBox = make("div", "metrics");
  const hint = make("p", "hint", "Click where the cloud shall start, or move with the arrow keys and press Enter. "
    + "Escape leaves.");
  const computing = make("p", "computing", "computing");
  const reduced = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const player = {
    root, clouds, panelBox, metricBox, hint, panels: [], charts: [],
    scene: null, position: 0, playing: !reduced, speed: 1, placing: null, visible: true,
    switches: { trails: true, marginals: true, flow: true, between: false },
    request: 0, before: 0, rate: { since: 0, ticks: 0, draws: 0, cost: 0 },
  };
  player.controls = buildControls({
    play: () => setPlaying(player, !player.playing),
    first: () => seek(player, 0),
    step: (frames) => seek(player, currentFrame(player) + frames),
    scrub: (frame) => seek(player, frame),
    speed: (speed) => change(player, { speed }),
    toggle: (name) => toggle(player, name),
    place: () => setPlacing(player, player.placing ? null : { panel: 0, across: 0.5, up: 0.5 }),
  });
  clouds.append(panelBox, player.controls.element, hint, computing);
  stage.append(clouds, metricBox);
  root.append(stage);
  root.onkeydown = (event) => onKey(player, event);
  parentElement.append(root);
  watch(player, parentElement);
  return player;
}

// Size, visibility, and whether Streamlit is computing something newer.
function watch(player, parentElement) {
  let width = 0;
  const size = new ResizeObserver(() => {
    if (player.root.clientWidth === width) return; // our own heights change too
    width = player.root.clientWidth;
    if (player.scene) relayout(player);
  });
  const sight = new IntersectionObserver((entries) => {
    player.visible = entries[entries.length - 1].isIntersecting;
    wake(player);
  });
  const container = (parentElement.host ?? parentElement).closest("[data-stale]");
  const stale = new MutationObserver(() => { player.root.dataset.computing = container.dataset.stale; });
  if (container) stale.observe(container, { attributes: true, attributeFilter: ["data-stale"] });
  size.observe(player.root);
  sight.observe(player.root);
  player.unwatch = () => [size, sight, stale].forEach((observer) => observer.disconnect());
}

function setScene(player, scene) {
  const first = player.scene === null;
  const oldPart = first ? 1 : currentFrame(player) / Math.max(1, player.scene.frames - 1);
  if (first) player.switches.trails = scene.trails;
  player.scene = scene;
  player.position = player.playing ? 0 : Math.round(oldPart * (scene.frames - 1));
  player.placing = null;
  player.panels = scene.panels.map((data) => buildPanel(data, scene.alt));
  player.charts = scene.metrics.map((metric) =>
    buildChart(metric, (part) => seek(player, frameNear(scene, part))));
  player.panelBox.replaceChildren(...player.panels.map((panel) => panel.element));
  player.metricBox.replaceChildren(...player.charts.map((chart) => chart.element));
  // One caption stands under the controls, several under their clouds.
  player.clouds.querySelectorAll(":scope > .caption").forEach((caption) => caption.remove());
  if (player.panels.length === 1) player.clouds.append(player.panels[0].caption);
  else player.panels.forEach((panel) => panel.title.after(panel.caption));
  player.panels.forEach((panel, index) => {
    panel.canvas.onclick = (event) => placeByClick(player, index, event);
  });
  player.root.setAttribute("aria-label", `Animation. ${scene.alt}`);
  Object.assign(player.root.dataset, { id: scene.id, frames: scene.frames });
  setPlacing(player, null);
  player.fresh = true;
  relayout(player);
}

// The recorded frame nearest to a part of the way through the steps, which need not be evenly spaced.
function frameNear({ steps, frames }, part) {
  const step = steps[0] + part * (steps[frames - 1] - steps[0]);
  let nearest = 0;
  for (let frame = 1; frame < frames; frame++) {
    if (Math.abs(steps[frame] - step) < Math.abs(steps[nearest] - step)) nearest = frame;
  }
  return nearest;
}

function currentFrame({ position, scene }) {
  return Math.min(Math.floor(position), scene.frames - 1);
}

function relayout(player) {
  if (!layoutPlayer(player)) return;
  draw(player, true);
  wake(player);
}

// Draws the present frame, unless it is drawn already.
function draw(player, force = false) {
  const { root, scene, panels, charts, controls, switches } = player;
  const frame = currentFrame(player);
  const blend = switches.between && frame < scene.frames - 1 ? player.position - frame : 0;
  if (!player.theme || (!force && player.drawn === frame + blend)) return;
  const began = performance.now();
  for (const panel of panels) drawPanel(panel, frame, blend, switches);
  if (force || Math.floor(player.drawn) !== frame) {
    for (const chart of charts) drawChart(chart, scene, frame);
    for (const { caption, banner, data } of panels) {
      caption.textContent = data.captions[frame];
      banner.hidden = !data.banner || data.banner_frame === null || frame < data.banner_frame;
    }
    showMoving(controls, scene, frame);
    Object.assign(root.dataset, { frame, step: scene.steps[frame] });
  }
  player.drawn = frame + blend;
  if (player.fresh) root.dataset.movedAt = String(performance.timeOrigin + performance.now());
  player.fresh = false;
  player.rate.draws++;
  player.rate.cost += performance.now() - began;
}

// The clock runs only while there is something to see.
function wake(player) {
  const running = player.playing && player.visible && player.scene && player.scene.frames > 1;
  if (running && !player.request) {
    player.before = performance.now();
    player.rate = { since: player.before, ticks: 0, draws: 0, cost: 0 };
    player.request = requestAnimationFrame((now) => tick(player, now));
  } else if (!running && player.request) {
    cancelAnimationFrame(player.request);
    player.request = 0;
  }
}

function tick(player, now) {
  const { scene } = player;
  const elapsed = Math.min(0.1, Math.max(0, (now - player.before) / 1000)); // a sleeping tab does not leap ahead
  const framesPerSecond = (scene.frames - 1) / scene.loop_seconds;
  player.before = now;
  player.position += elapsed * player.speed * framesPerSecond;
  if (player.position > scene.frames - 1 + HOLD_SECONDS * player.speed * framesPerSecond) player.position = 0;
  draw(player);
  measure(player, now);
  player.request = requestAnimationFrame((later) => tick(player, later));
}

function measure({ rate, root }, now) {
  rate.ticks++;
  const seconds = (now - rate.since) / 1000;
  if (seconds < 1) return;
  root.dataset.fps = (rate.ticks / seconds).toFixed(1);
  root.dataset.draws = (rate.draws / seconds).toFixed(1);
  if (rate.draws) root.dataset.drawMs = (rate.cost / rate.draws).toFixed(2);
  Object.assign(rate, { since: now, ticks: 0, draws: 0, cost: 0 });
}

// A change of the settings, shown everywhere that shows them.
function change(player, settings) {
  Object.assign(player, settings);
  const { root, controls, scene, panels, playing, speed, switches } = player;
  Object.assign(root.dataset, { playing, speed, trails: switches.trails });
  // While it plays, captions change many times a second: a screen reader hears them only when it rests.
  for (const { caption, banner } of panels) {
    [caption, banner].forEach((text) => text.setAttribute("aria-live", playing ? "off" : "polite"));
  }
  showSettings(controls, scene, player);
  wake(player);
}

function setPlaying(player, playing) {
  if (playing && player.position >= player.scene.frames - 1) player.position = 0;
  change(player, { playing });
}

function seek(player, frame) {
  player.position = Math.min(player.scene.frames - 1, Math.max(0, frame));
  change(player, { playing: false });
  draw(player);
}

function toggle(player, name) {
  const switches = { ...player.switches, [name]: !player.switches[name] };
  change(player, { switches });
  if (name === "marginals") relayout(player);
  else draw(player, true);
}

function setPlacing(player, placing) {
  change(player, { placing });
  player.hint.hidden = !placing;
  player.root.classList.toggle("placing", Boolean(placing));
  player.panels.forEach(({ target, view, ratio }, index) => {
    target.hidden = !placing || placing.panel !== index;
    if (target.hidden) return;
    target.style.left = `${(view.left + placing.across * view.width) / ratio}px`;
    target.style.top = `${(view.top + (1 - placing.up) * view.height) / ratio}px`;
  });
  if (placing) player.root.focus({ preventScroll: true });
}

function placeByClick(player, index, event) {
  if (!player.placing) return; // otherwise a click only takes the focus
  const point = pointOfClick(player.panels[index], player.scene.bounds, event.offsetX, event.offsetY);
  if (point) place(player, point);
}

function place(player, point) {
  setPlacing(player, null);
  player.setTriggerValue("placed", point);
}

// While the start is being placed, arrows move the target and Enter takes it.
function onPlacingKey(player, { key, shiftKey }) {
  const { placing, scene } = player;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  if (key === "Escape") setPlacing(player, null);
  else if (key === "Enter") {
    const [[x0, x1], [y0, y1]] = scene.bounds;
    place(player, { x: x0 + placing.across * (x1 - x0), y: y0 + placing.up * (y1 - y0) });
  } else if (moves[key]) {
    const inside = (part) => Math.min(1, Math.max(0, part));
    const [right, up] = moves[key].map((move) => move * (shiftKey ? 0.1 : 0.02));
    setPlacing(player, { ...placing, across: inside(placing.across + right), up: inside(placing.up + up) });
  } else return false;
  return true;
}

function onFrameKey(player, { key, shiftKey }, target) {
  const stride = shiftKey ? 10 : 1;
  const frame = currentFrame(player);
  const slider = target.matches("input"); // it moves by arrows, home and end on its own
  if (key === " " && !target.matches("button")) setPlaying(player, !player.playing);
  else if (key === "t") toggle(player, "trails");
  else if (slider) return false;
  else if (key === "ArrowLeft") seek(player, frame - stride);
  else if (key === "ArrowRight") seek(player, frame + stride);
  else if (key === "Home") seek(player, 0);
  else if (key === "End") seek(player, player.scene.frames - 1);
  else return false;
  return true;
}

function onKey(player, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
  const onRoot = event.target === player.root;
  const used = player.placing && (onRoot || event.key === "Escape")
    ? onPlacingKey(player, event)
    : onFrameKey(player, event, event.target);
  if (!used) return;
  event.preventDefault();
  event.stopPropagation(); // Streamlit has shortcuts of its own
}

export default function ({ parentElement, data, setTriggerValue }) {
  if (!players.has(parentElement)) players.set(parentElement, createPlayer(parentElement));
  const player = players.get(parentElement);
  player.setTriggerValue = setTriggerValue;
  const read = readHeader(data);
  if (player.scene?.id !== read.header.id) setScene(player, readScene(read, data));
  else if (JSON.stringify(readTheme(player.root)) !== JSON.stringify(player.theme)) relayout(player);
  // Streamlit may run the clean-up of an overtaken call after the next call: only the latest one may clean.
  const call = {};
  player.latestCall = call;
  return () => {
    if (player.latestCall !== call) return;
    cancelAnimationFrame(player.request);
    player.unwatch();
    player.root.remove();
    players.delete(parentElement);
  };
}
