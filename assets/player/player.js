// player.js: the state of each player, its one clock, and the component that Streamlit calls.

const HOLD_SECONDS = 0.9; // on the last frame, before the run starts again
const POINTER_EVENTS = ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "click"];
const SWITCH_KEYS = { t: "trails", o: "overlay" };
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
  const computing = make("p", "computing", "computing");
  const reduced = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const player = {
    root, clouds, panelBox, metricBox, panels: [], charts: [],
    scene: null, position: 0, shown: { frame: 0, blend: 0 }, playing: !reduced, speed: 1, visible: true,
    placing: null, drawing: null, hovered: null,
    switches: { trails: true, marginals: true, flow: true, between: false, overlay: false },
    request: 0, before: 0, rate: { since: 0, ticks: 0, draws: 0, cost: 0 },
  };
  player.controls = buildControls({
    play: () => setPlaying(player, !player.playing),
    first: () => seek(player, 0),
    step: (frames) => seek(player, currentFrame(player) + frames),
    scrub: (frame) => seek(player, frame),
    speed: (speed) => change(player, { speed }),
    toggle: (name) => toggle(player, name),
    place: () => togglePlacing(player),
    draw: () => toggleDrawing(player),
  });
  player.modeBar = buildModeBar({
    done: () => finishDrawing(player),
    undo: () => undoStrokes(player),
    clear: () => undoStrokes(player, player.drawing.strokes.length),
    cancel: () => enterMode(player, {}),
  });
  player.controls.element.append(player.modeBar.element);
  clouds.append(panelBox, player.controls.element, computing);
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
  const oldPart = player.scene ? partOfSteps(player.scene, currentFrame(player)) : 1;
  const kind = "images" in scene.panels[0] ? IMAGES : CLOUDS;
  if (!player.scene && kind === CLOUDS) player.switches.trails = scene.trails;
  if (player.kind !== kind || !kind.hovers(scene)) setHovered(player, null);
  Object.assign(player, { scene, kind });
  player.position = player.playing ? 0 : frameNear(scene, oldPart);
  player.panels = scene.panels.map((data) => buildPanel(data, scene.alt));
  player.charts = scene.metrics.map((metric) =>
    buildChart(metric, (part) => seek(player, frameNear(scene, part))));
  player.panelBox.replaceChildren(...player.panels.map((panel) => panel.element));
  player.metricBox.replaceChildren(...player.charts.map((chart) => chart.element));
  // One caption stands under the controls, several under their clouds.
  player.clouds.querySelectorAll(":scope > .caption").forEach((caption) => caption.remove());
  if (player.panels.length === 1) player.clouds.append(player.panels[0].caption);
  else player.panels.forEach((panel) => panel.title.after(panel.caption));
  for (const panel of player.panels) {
    const listen = (event) => onPointer(player, panel, event);
    for (const name of POINTER_EVENTS) panel.canvas.addEventListener(name, listen);
  }
  player.root.setAttribute("aria-label", `Animation. ${scene.alt}`);
  Object.assign(player.root.dataset, { id: scene.id, frames: scene.frames });
  player.placing = null;
  if (!scene.can_draw) player.drawing = null;
  if (player.drawing) player.drawing.panel = 0; // the ink is kept, and there may be fewer panels than before
  player.fresh = true;
  relayout(player);
}

function onPointer(player, panel, event) {
  if (player.drawing) onDrawingPointer(player, panel, event);
  else if (!player.placing) onHover(player, panel, event);
  else if (event.type === "click") placeByClick(player, panel, event); // otherwise a click only takes the focus
}

// How far along the steps a frame is, 0 to 1.
function partOfSteps({ steps, frames }, frame) {
  return (steps[frame] - steps[0]) / (steps[frames - 1] - steps[0] || 1);
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
  setMode(player, player);
  draw(player, true);
}

// Draws the present frame, unless it is drawn already.
function draw(player, force = false) {
  const { root, kind, scene, panels, charts, controls, switches } = player;
  const frame = currentFrame(player);
  const blend = switches.between && frame < scene.frames - 1 ? player.position - frame : 0;
  player.shown = { frame, blend };
  if (!player.theme || (!force && player.drawn === frame + blend)) return;
  const began = performance.now();
  for (const panel of panels) kind.draw(panel, frame, blend, switches);
  if (force || player.hovered) drawOverlays(player);
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

// The clock runs only while there is something to see, and waits for who draws.
function wake(player) {
  const running = player.playing && player.visible && !player.drawing && player.scene && player.scene.frames > 1;
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
  Object.assign(root.dataset, { playing, speed, trails: switches.trails, overlay: switches.overlay });
  // While it plays, captions change many times a second: a screen reader hears them only when it rests.
  for (const { caption, banner, reading } of panels) {
    [caption, banner, reading].forEach((text) => text.setAttribute("aria-live", playing ? "off" : "polite"));
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

// Ink, or the marks of what is pointed at, over each panel.
function drawOverlays(player) {
  const { kind, panels, drawing, hovered } = player;
  for (const panel of panels) {
    const { overlay, view } = panel;
    overlay.canvas.hidden = !drawing && !hovered;
    overlay.clearRect(0, 0, view.width, view.height);
    if (drawing) paintInk(panel, drawing.strokes);
    else if (hovered) kind.mark(player, panel);
    showReading(player, panel);
  }
}

function onFrameKey(player, { key, shiftKey }, target) {
  const stride = shiftKey ? 10 : 1;
  const frame = currentFrame(player);
  const slider = target.matches("input"); // it moves by arrows, home and end on its own
  if (key === " " && !target.matches("button")) setPlaying(player, !player.playing);
  else if (player.kind.switches(player.scene).includes(SWITCH_KEYS[key])) toggle(player, SWITCH_KEYS[key]);
  else if (key === "p") return cycleHovered(player);
  else if (key === "Escape" && player.hovered) setHovered(player, null);
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
  const mode = player.placing ? onPlacingKey : player.drawing ? onDrawingKey : null;
  // On a button of the mode, Enter and space are the button's own.
  const used = mode && (onRoot || event.key === "Escape")
    ? mode(player, event)
    : !player.drawing && onFrameKey(player, event, event.target);
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
