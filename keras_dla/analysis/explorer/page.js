// What the page shows, and what the user chooses.
const page = JSON.parse(document.getElementById("data").textContent);
const chosen = { image: 0, stage: 0, quantity: 0, layer: 0, head: 0, ranks: page.models.map(() => 0) };
const QUANTITIES = [
  ["score × scale", "Score times scale: how much of its own values each layer contributes to the query layer."],
  ["score", "Score: the softmax of Eq. 2 in the base form, where a row sums to 1; in the light form the gate of the key layer."],
  ["scale", "Scale: the factor by which the values of the key layer have been multiplied when they are read, averaged over the channels of a head. It is 1 for static layers."],
];
const APPROXIMATE = "Light form, an approximation: its layers read the block's shortcut, or a convolution of their memory, but these numbers assume a running map.";

for (const model of page.models) {
  const { height, width } = model.maps;
  const bytes = bytesOf(model.maps.bytes);
  const ranks = bytes.length / (page.images.length * height * width);
  model.map = (image, rank) => {
    const start = (image * ranks + rank) * height * width;
    return { height, width, values: bytes.subarray(start, start + height * width) };
  };
  model.mapped = ranks;
  for (const stage of model.stages) {
    stage.scores = unpacked(stage.scores);
    stage.scales = unpacked(stage.scales);
  }
}

function className(index) {
  return page.classes ? page.classes[index] : `class ${index}`;
}

// Rows of what each layer reads, for one head or averaged over all.
function rowsOf(stage) {
  const cells = stage.layers * (stage.layers + 1) / 2;
  const head = Math.min(chosen.head, stage.heads);
  const heads = head ? [head - 1] : Array.from({ length: stage.heads }, (_, n) => n);
  const value = [
    (index) => stage.scores[index] * stage.scales[index],
    (index) => stage.scores[index],
    (index) => stage.scales[index],
  ][chosen.quantity];
  const rows = [];
  for (let asking = 0, cell = 0; asking < stage.layers; asking++) {
    rows.push(Array.from({ length: asking + 1 }, () => {
      const sum = heads.reduce((total, n) => total + value((chosen.image * stage.heads + n) * cells + cell), 0);
      cell++;
      return sum / heads.length;
    }));
  }
  return rows;
}

function stageOf(model) {
  return model.stages[Math.min(chosen.stage, model.stages.length - 1)];
}

function showControls() {
  const stages = page.models.map(stageOf);
  const layers = Math.max(...stages.map((stage) => stage.layers));
  const heads = Math.max(...stages.map((stage) => stage.heads));
  chosen.layer = Math.min(chosen.layer, layers - 1);
  chosen.head = Math.min(chosen.head, heads);
  for (const [name, most, value, text] of [
    ["layer", layers, chosen.layer + 1, `${chosen.layer + 1} of ${layers}`],
    ["head", heads, chosen.head, chosen.head ? `${chosen.head} of ${heads}` : `mean over all ${heads}`],
  ]) {
    const slider = document.getElementById(name);
    slider.max = most;
    slider.value = value;
    slider.setAttribute("aria-valuetext", text);
    document.getElementById(`${name}-text`).textContent = text;
  }
  document.getElementById("explanation").textContent = QUANTITIES[chosen.quantity][1];
}

function showSeen(model, number) {
  const canvas = element("canvas", { role: "img" });
  const likeliest = model.likeliest[chosen.image];
  const rank = chosen.ranks[number];
  const name = className(likeliest[rank][0]);
  canvas.setAttribute("aria-label", `Where ${model.name} sees ${name}`);
  const bitmap = new Image(), map = model.map(chosen.image, rank);
  bitmap.onload = () => drawMap(canvas, bitmap, map);
  bitmap.src = page.images[chosen.image].src;
  const words = map.values.some(Boolean) ? "where it sees" : "nothing speaks for";
  const caption = element("figcaption", {}, `${words}: ${name}`);
  const largest = model.probabilities ? 1 : Math.max(...likeliest.map(([, score]) => Math.abs(score)));
  const list = element("fieldset", { className: "classes" },
    element("legend", {}, model.probabilities ? "Predicted classes" : "Class scores (not probabilities)"));
  likeliest.forEach(([index, score], place) => {
    const text = model.probabilities ? `${(100 * score).toFixed(1)} %` : score.toFixed(2);
    const cells = bar(className(index), score, largest, text);
    if (place >= model.mapped) {
      list.append(element("div", { className: "bar-row" }, ...cells));
      return;
    }
    const input = element("input", { type: "radio", name: `rank-${number}`, value: String(place) });
    input.checked = place === rank;
    input.addEventListener("change", () => {
      chosen.ranks[number] = place;
      show();
      document.querySelector(`input[name="rank-${number}"][value="${place}"]`).focus();
    });
    list.append(element("label", { className: "bar-row pick" }, input, ...cells));
  });
  const image = element("img", { src: bitmap.src, alt: page.images[chosen.image].name });
  return element("div", { className: "seen" },
    element("figure", {}, image, element("figcaption", {}, page.images[chosen.image].name)),
    element("figure", {}, canvas, caption), list);
}

function showReading(model, limits) {
  const stage = stageOf(model), rows = rowsOf(stage);
  const asking = Math.min(chosen.layer, stage.layers - 1);
  const choose = (layer) => { chosen.layer = layer; show(); };
  const title = `${model.name}, ${stage.name}: ${QUANTITIES[chosen.quantity][0]}`;
  const list = element("div", { className: "bars" },
    element("strong", {}, `Layer ${asking + 1} reads`));
  const largest = Math.max(limits.high, -limits.low);
  rows[asking].forEach((value, read) => {
    const label = read === asking ? `layer ${read + 1} (itself)` : `layer ${read + 1}`;
    list.append(element("div", { className: "bar-row" }, ...bar(label, value, largest, value.toFixed(3))));
  });
  const parts = [
    element("h3", {}, `${stage.name[0].toUpperCase()}${stage.name.slice(1)}: ${stage.layers} layers, ${stage.heads} heads`),
    element("div", { className: "reading" }, drawGrid(rows, limits, asking, choose, title), list),
    drawLegend(limits),
  ];
  if (stage.isApproximate) parts.push(element("p", { className: "note" }, APPROXIMATE));
  else if (stage.isBase && !stage.isRefreshed) {
    parts.push(element("p", { className: "explanation" }, "Static: no scale but 1."));
  }
  return parts;
}

function limitsOfAll() {
  const values = page.models.flatMap((model) => rowsOf(stageOf(model)).flat());
  return { low: Math.min(0, ...values), high: Math.max(0, ...values) };
}

// The address tells what is shown, so that a view can be kept or passed on.
const IN_ADDRESS = ["image", "stage", "quantity", "layer", "head"];

function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const most = { image: page.images.length, stage: page.stages, quantity: QUANTITIES.length, layer: Infinity, head: Infinity };
  for (const name of IN_ADDRESS) {
    const number = Number.parseInt(told.get(name), 10) - (name === "head" ? 0 : 1);
    if (number >= 0 && number < most[name]) chosen[name] = number;
  }
}

function writeAddress() {
  const numbers = IN_ADDRESS.map((name) => [name, chosen[name] + (name === "head" ? 0 : 1)]);
  history.replaceState(null, "", `#${new URLSearchParams(numbers)}`);
}

function show() {
  showControls();
  writeAddress();
  const limits = limitsOfAll();
  document.getElementById("models").replaceChildren(...page.models.map((model, number) =>
    element("article", { className: "model" }, element("h2", {}, model.name),
      showSeen(model, number), ...showReading(model, limits))));
}

function start() {
  document.getElementById("title").textContent = page.title;
  const longest = page.models.reduce((a, b) => (a.stages.length >= b.stages.length ? a : b));
  page.stages = longest.stages.length;
  // The last layer of the last stage has the most to read.
  chosen.stage = page.stages - 1;
  chosen.layer = Math.max(...page.models.map((model) => stageOf(model).layers)) - 1;
  readAddress();
  const thumbnails = page.images.map((image) => element("img", { src: image.src, alt: image.name, title: image.name }));
  choices(document.getElementById("images"), "image", thumbnails, chosen.image, (index) => {
    chosen.image = index;
    chosen.ranks.fill(0);
    show();
  });
  choices(document.getElementById("stages"), "stage", longest.stages.map((stage) => stage.name), chosen.stage,
    (index) => { chosen.stage = index; show(); });
  choices(document.getElementById("quantities"), "quantity", QUANTITIES.map(([name]) => name), chosen.quantity,
    (index) => { chosen.quantity = index; show(); });
  for (const [name, from] of [["layer", 1], ["head", 0]]) {
    document.getElementById(name).addEventListener("input", (event) => {
      chosen[name] = Number(event.target.value) - from;
      show();
    });
  }
  show();
}

start();
