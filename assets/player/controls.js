// controls.js: buttons, the slider, switches. They call what they are given and hold no state of their own.

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const ICONS = {
  first: "M5 4h2v12H5zM16 4v12L8 10z",
  back: "M14 4v12L6 10z",
  play: "M6 3.5v13L17 10z",
  pause: "M5.5 4h3.2v12H5.5zM11.3 4h3.2v12h-3.2z",
  forward: "M6 4v12l8-6z",
  place: "M10 2v5M10 13v5M2 10h5M13 10h5",
  draw: "M3 17l1.2-4.6L13.8 2.8l3.4 3.4-9.6 9.6zM11.6 5l3.4 3.4",
};

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text; // never markup: words come from users too
  return element;
}

function makeIcon(name) {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 20 20");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  if (name === "place" || name === "draw") path.setAttribute("class", "stroked");
  icon.append(path);
  return icon;
}

function makeButton(name, label, onclick) {
  const button = make("button", "icon-button");
  button.type = "button";
  button.dataset.testid = name;
  button.setAttribute("aria-label", label);
  button.title = label;
  button.append(makeIcon(name));
  button.onclick = onclick;
  return button;
}

function makeTextButton(name, label, icon, onclick) {
  const button = make("button", "text-button");
  button.type = "button";
  button.dataset.testid = name;
  if (icon) button.append(makeIcon(icon));
  button.append(make("span", "", label));
  button.onclick = onclick;
  return button;
}

function makeSwitch(name, label, help, onclick) {
  const button = make("button", "switch");
  button.type = "button";
  button.dataset.testid = name;
  button.setAttribute("role", "switch");
  button.setAttribute("aria-checked", "false");
  button.title = help;
  button.append(make("span", "track"), make("span", "", label));
  button.onclick = onclick;
  return button;
}

function makeSpeed(onchange) {
  const speed = make("select", "speed");
  speed.dataset.testid = "speed";
  speed.setAttribute("aria-label", "speed");
  speed.title = "speed";
  for (const factor of SPEEDS) {
    const option = make("option", "", `${factor}×`);
    option.value = String(factor);
    speed.append(option);
  }
  speed.onchange = () => onchange(Number(speed.value));
  return speed;
}

function makeScrub(oninput) {
  const scrub = make("input", "scrub");
  scrub.type = "range";
  scrub.min = "0";
  scrub.step = "1";
  scrub.dataset.testid = "scrub";
  scrub.setAttribute("aria-label", "frame");
  scrub.oninput = () => oninput(Number(scrub.value));
  return scrub;
}

// `on` has one function for each thing that can be asked for.
function buildControls(on) {
  const element = make("div", "controls");
  const buttons = make("div", "buttons");
  const play = makeButton("play", "Play (space)", on.play);
  play.classList.add("play");
  const first = makeButton("first", "First frame (home)", on.first);
  const back = makeButton("back", "One frame back (left arrow)", () => on.step(-1));
  const forward = makeButton("forward", "One frame on (right arrow)", () => on.step(1));
  buttons.append(first, back, play, forward);
  const speed = makeSpeed(on.speed);
  const scrub = makeScrub(on.scrub);
  const counter = make("output", "counter");
  counter.dataset.testid = "counter";
  const switches = {
    trails: makeSwitch("trails", "Trails", "The last frames of some particles as lines (t)",
      () => on.toggle("trails")),
    marginals: makeSwitch("marginals", "Marginals", "Histograms at the edges; the target's marginal as a line",
      () => on.toggle("marginals")),
    flow: makeSwitch("flow", "Exact flow", "The continuous-time flow at this time: contours and dashed marginals",
      () => on.toggle("flow")),
    between: makeSwitch("between", "In between", "Straight ways between the recorded frames: smoother, but made up",
      () => on.toggle("between")),
    overlay: makeSwitch("overlay", "", "", () => on.toggle("overlay")),
  };
  const legend = buildLegend();
  const place = makeTextButton("place", "Place the start", "place", on.place);
  const draw = makeTextButton("draw", "Draw a target", "draw", on.draw);
  const row = make("div", "switches");
  const tools = make("div", "tools");
  tools.append(place, draw);
  row.append(...Object.values(switches), legend, tools);
  element.append(buttons, speed, scrub, counter, row);
  return { element, play, speed, scrub, counter, switches, legend, place, draw };
}

// Writes what the controls show; `moving` alone changes from frame to frame.
function showMoving(controls, scene, frame) {
  const step = scene.steps[frame].toLocaleString("en"), last = scene.steps[scene.frames - 1].toLocaleString("en");
  controls.counter.textContent = `${scene.step_word} ${step} / ${last}`;
  controls.scrub.value = String(frame);
  controls.scrub.style.setProperty("--done", `${scene.frames > 1 ? (100 * frame) / (scene.frames - 1) : 100}%`);
  controls.scrub.setAttribute("aria-valuetext", `${scene.step_word} ${step} of ${last}`);
}

function showSettings(controls, scene, { kind, playing, speed, switches, placing, drawing }) {
  controls.scrub.max = String(scene.frames - 1);
  controls.scrub.disabled = controls.play.disabled = scene.frames === 1;
  controls.counter.style.minWidth = `${scene.step_word.length + 3
    + 2 * scene.steps[scene.frames - 1].toLocaleString("en").length}ch`;
  const label = playing ? "Pause (space)" : "Play (space)";
  if (controls.play.title !== label) {
    controls.play.title = label;
    controls.play.setAttribute("aria-label", label);
    controls.play.replaceChildren(makeIcon(playing ? "pause" : "play"));
  }
  controls.speed.value = String(speed);
  const offered = kind.switches(scene);
  for (const [name, button] of Object.entries(controls.switches)) {
    button.setAttribute("aria-checked", String(switches[name]));
    button.hidden = !offered.includes(name);
  }
  controls.legend.hidden = controls.switches.overlay.hidden || !switches.overlay;
  controls.place.hidden = !scene.can_place;
  controls.draw.hidden = !scene.can_draw;
  controls.place.setAttribute("aria-pressed", String(Boolean(placing)));
  controls.draw.setAttribute("aria-pressed", String(Boolean(drawing)));
}
