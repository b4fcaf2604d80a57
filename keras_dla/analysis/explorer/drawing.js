"use strict";
// Elements, numbers and colours; what is shown of them is decided in page.js.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key === "className" ? "class" : key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.append(text);
  return made;
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function unpacked(packed) {
  const view = new DataView(bytesOf(packed.int16).buffer);
  return Float32Array.from({ length: view.byteLength / 2 },
    (_, index) => view.getInt16(2 * index, true) * packed.unit);
}

// Stops of a map of colours that reads the same with colour blindness.
const RISING = [[0, 34, 78], [60, 77, 110], [124, 123, 120], [188, 175, 111], [254, 232, 56]];
const FALLING = [[0, 34, 78], [179, 71, 0], [240, 168, 96]];

function between(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  return stops[index].map((start, n) => start + (place - index) * (stops[index + 1][n] - start));
}

function colour(value, limits) {
  const largest = Math.max(limits.high, -limits.low) || 1;
  return value < 0 ? between(FALLING, -value / largest) : between(RISING, value / largest);
}

function css([red, green, blue]) {
  return `rgb(${red.toFixed(0)}, ${green.toFixed(0)}, ${blue.toFixed(0)})`;
}

function inkOn([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "#ffffff" : "#000000";
}

function short(number) {
  const text = Math.abs(number) >= 100 ? number.toFixed(0) : number.toFixed(2);
  return text === "-0.00" ? "0.00" : text;
}

function choices(parent, name, labels, chosen, onChange) {
  const box = element("div", { className: "choices" });
  labels.forEach((label, index) => {
    const input = element("input", { type: "radio", name, value: String(index) });
    input.checked = index === chosen;
    input.addEventListener("change", () => onChange(index));
    const content = typeof label === "string" ? element("span", {}, label) : label;
    box.append(element("label", { className: "choice" }, input, content));
  });
  parent.querySelector(".choices")?.remove();
  parent.append(box);
}

function bar(label, value, largest, text) {
  const width = largest > 0 ? Math.min(100, 100 * Math.abs(value) / largest) : 0;
  const fill = element("span", { className: value < 0 ? "fill negative" : "fill" });
  fill.style.width = `${width}%`;
  return [
    element("span", { className: "track" }, fill, element("span", { className: "text" }, label)),
    element("span", { className: "number" }, text),
  ];
}

// The image in grey under the colours of its map.
function drawMap(canvas, bitmap, map) {
  canvas.width = bitmap.naturalWidth;
  canvas.height = bitmap.naturalHeight;
  const context = canvas.getContext("2d");
  const layer = element("canvas", { width: map.width, height: map.height });
  const pixels = new ImageData(map.width, map.height);
  map.values.forEach((value, index) => {
    pixels.data.set([...between(RISING, value / 255), 60 + 0.55 * value], 4 * index);
  });
  layer.getContext("2d").putImageData(pixels, 0, 0);
  context.filter = "grayscale(1)";
  context.drawImage(bitmap, 0, 0);
  context.filter = "none";
  context.imageSmoothingEnabled = true;
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

// The grid of a stage: `values[asking][read]`, with the chosen row framed.
function drawGrid(values, limits, chosen, onChoose, title) {
  const layers = values.length, size = 100 / layers, edge = 18, box = 101 + edge;
  const grid = drawn("svg", { class: "grid", viewBox: `0 0 ${box} ${box}`, role: "img", "aria-label": title });
  const middle = { class: "axis", "text-anchor": "middle" };
  grid.append(drawn("text", { ...middle, x: edge + 50, y: box - 1 }, "key layer"));
  grid.append(drawn("text", { ...middle, transform: "translate(5 50) rotate(-90)" }, "query layer"));
  const step = Math.ceil(layers / 10);
  values.forEach((row, asking) => {
    row.forEach((value, read) => {
      const fill = colour(value, limits);
      const cell = drawn("rect", { class: "cell", x: edge + read * size, y: asking * size, width: size, height: size, fill: css(fill) });
      cell.append(drawn("title", {}, `layer ${asking + 1} reads layer ${read + 1}: ${value.toFixed(3)}`));
      cell.addEventListener("click", () => onChoose(asking));
      grid.append(cell);
      if (layers <= 6) {
        const text = drawn("text", { x: edge + (read + 0.5) * size, y: (asking + 0.5) * size + 2.2, "text-anchor": "middle", style: `fill: ${inkOn(fill)}; pointer-events: none` }, short(value));
        grid.append(text);
      }
    });
    if (asking % step) return;
    grid.append(drawn("text", { x: edge - 3, y: (asking + 0.5) * size + 2.2, "text-anchor": "end" }, String(asking + 1)));
    grid.append(drawn("text", { x: edge + (asking + 0.5) * size, y: 108, "text-anchor": "middle" }, String(asking + 1)));
  });
  grid.append(drawn("rect", { class: "row", x: edge, y: chosen * size, width: (chosen + 1) * size, height: size }));
  return grid;
}

function drawLegend(limits) {
  const stops = Array.from({ length: 9 }, (_, n) => {
    const value = limits.low + (limits.high - limits.low) * n / 8;
    return css(colour(value, limits));
  });
  const ramp = element("span", { className: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  return element("div", { className: "legend" }, element("span", {}, short(limits.low)), ramp, element("span", {}, short(limits.high)));
}
