// flipbook.js: the pictures of samples through training, to leaf through by a slider or to play.
// It stays on the newest picture as a run grows, unless the reader has turned back. A picture that stands
// alone (`alone`) has no controls.

const books = new WeakMap(); // by parent element: Streamlit calls again on every rerun and theme change
const ICONS = { play: "M8 5v14l11-7z", pause: "M6 5h4v14H6zM14 5h4v14h-4z" };

function createBook(parentElement) {
  const root = element("figure", "flipbook");
  root.dataset.testid = "flipbook";
  const frame = element("div", "frame");
  const image = element("img");
  frame.append(image);
  const bar = element("div", "bar");
  const play = element("button", "play");
  play.type = "button";
  const slider = element("input", "scrub");
  Object.assign(slider, { type: "range", min: 0, step: 1 });
  slider.setAttribute("aria-label", "Step of the picture");
  const counter = element("output", "counter");
  bar.append(play, slider, counter);
  root.append(frame, bar);
  parentElement.append(root);
  const book = { root, image, bar, play, slider, counter, id: null, pictures: [], place: 0, timer: 0 };
  play.onclick = () => (book.timer ? pause(book) : start(book));
  slider.oninput = () => { pause(book); turnTo(book, Number(slider.value)); };
  slider.onkeydown = (event) => event.stopPropagation(); // Streamlit has shortcuts of its own
  pause(book);
  return book;
}

function element(tag, name = "") {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}

function setPictures(book, { id, pictures, points, alone }) {
  const follows = book.id !== id || book.place === book.pictures.length - 1;
  const step = book.pictures[book.place]?.step;
  Object.assign(book, { id, pictures });
  book.root.classList.toggle("points", points);
  book.bar.hidden = alone;
  book.slider.max = pictures.length - 1;
  book.slider.disabled = book.play.disabled = pictures.length < 2;
  const kept = pictures.findLastIndex((picture) => picture.step <= step);
  turnTo(book, follows || kept < 0 ? pictures.length - 1 : kept);
  book.root.dataset.pictures = pictures.length;
}

function turnTo(book, place) {
  const { step, source, alt } = book.pictures[place];
  book.place = place;
  book.image.src = source;
  book.image.alt = alt;
  const text = `step ${step.toLocaleString("en")}`;
  book.counter.textContent = text;
  book.slider.value = place;
  book.slider.setAttribute("aria-valuetext", text);
  const share = book.pictures.length > 1 ? place / (book.pictures.length - 1) : 1;
  book.slider.style.setProperty("--done", `${100 * share}%`);
  book.root.dataset.step = step;
}

// Once through, in about five seconds; the last picture stays.
function start(book) {
  if (book.place === book.pictures.length - 1) turnTo(book, 0);
  show(book, "pause");
  book.timer = setInterval(() => {
    turnTo(book, book.place + 1);
    if (book.place === book.pictures.length - 1) pause(book);
  }, Math.min(600, Math.max(120, 5000 / book.pictures.length)));
}

function pause(book) {
  clearInterval(book.timer);
  book.timer = 0;
  show(book, "play");
}

function show(book, what) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  path.setAttribute("d", ICONS[what]);
  svg.append(path);
  book.play.replaceChildren(svg);
  book.play.setAttribute("aria-label", what === "play" ? "Play the pictures" : "Pause");
  book.root.dataset.playing = what === "pause";
}

// Whether the page is dark: the canvas knows every notation of a colour.
function isDark(root) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = getComputedStyle(root).getPropertyValue("--st-background-color").trim() || "#fff";
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
}

export default function ({ parentElement, data }) {
  if (!books.has(parentElement)) books.set(parentElement, createBook(parentElement));
  const book = books.get(parentElement);
  const newest = data.pictures.at(-1).step;
  if (book.id !== data.id || book.pictures.length !== data.pictures.length || book.newest !== newest) {
    book.newest = newest;
    if (book.id !== data.id) pause(book);
    setPictures(book, data);
  }
  book.root.classList.toggle("dark", isDark(book.root));
  // Streamlit may run the clean-up of an overtaken call after the next call: only the latest one may clean.
  const call = {};
  book.latestCall = call;
  return () => {
    if (book.latestCall !== call) return;
    clearInterval(book.timer);
    book.root.remove();
    books.delete(parentElement);
  };
}
