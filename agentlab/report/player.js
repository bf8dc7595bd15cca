"use strict";

(() => {
  const source = document.getElementById("episode");
  if (!source) return;
  const episode = JSON.parse(source.textContent);
  const byId = (id) => document.getElementById(id);
  const player = byId("player"), screen = byId("screen"), slider = byId("slider");
  const last = episode.frames - 1;
  const returns = [0];
  for (const reward of episode.rewards) returns.push(returns[returns.length - 1] + reward);
  const rewarded = episode.rewards.flatMap((reward, step) => (reward ? [step + 1] : []));

  let current = -1;
  let playing = false;
  let clock = { at: 0, frame: 0 };

  /* Frames: strips of several, decoded when needed, the most recent ones kept. */
  const strips = new Map();
  const keptStrips = 8;

  function strip(index) {
    if (!strips.has(index)) {
      const image = new Image();
      image.src = "data:image/png;base64," + episode.strips[index];
      strips.set(index, image.decode().then(() => image));
      if (strips.size > keptStrips) strips.delete(strips.keys().next().value);
    }
    return strips.get(index);
  }

  async function draw(frame) {
    const index = Math.floor(frame / episode.framesPerStrip);
    const image = await strip(index);
    if (frame !== current) return;
    const top = (frame % episode.framesPerStrip) * episode.height;
    screen.getContext("2d").drawImage(
      image, 0, top, episode.width, episode.height, 0, 0, episode.width, episode.height);
    player.dataset.drawn = frame;
    if (index + 1 < episode.strips.length) strip(index + 1);
  }

  /* Text. */
  function text(value, digits = 2) {
    if (value === null || value === undefined) return "–";
    return String(Number(value.toFixed(digits))).replace("-", "−");
  }

  function signed(value) {
    return value > 0 ? "+" + text(value) : text(value);
  }

  function actionName(frame) {
    if (frame >= episode.actions.length) return episode.terminated ? "end" : "cut off";
    const action = episode.actions[frame];
    return action.length === 1 ? (episode.actionNames[action[0]] ?? text(action[0])) : action.map((x) => text(x)).join(", ");
  }

  function labelText(label, value) {
    if (value === null) return "absent";
    if (label.kind === "category") return label.classes[value];
    if (label.kind === "flag") return value ? "yes" : "no";
    return text(value, 1);
  }

  function isWrong(label, truth, predicted) {
    if (truth === null || predicted === null) return (truth === null) !== (predicted === null);
    return label.kind === "number" ? Math.abs(truth - predicted) > 0.05 * label.span : truth !== predicted;
  }

  /* Readings: the elements are made once, then filled at each frame. */
  function element(name, className, parent) {
    const made = document.createElement(name);
    if (className) made.className = className;
    parent.append(made);
    return made;
  }

  const bars = [];
  const values = episode.values;
  const probabilities = episode.valuesKind === "probability";
  const spread = Math.max(...values.map((row) => Math.max(...row) - Math.min(...row)), 1e-9);
  const decimals = probabilities ? 3 : Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(spread))));
  if (values.length) {
    byId("values").hidden = false;
    byId("values-title").textContent = probabilities ? "Probability per action" : "Value per action";
    byId("values-note").textContent = probabilities ? ""
      : "Bars show how much better than the worst action; a full bar is the largest such difference in the episode.";
    values[0].forEach((_, action) => {
      const row = element("li", "", byId("value-bars"));
      element("span", "name", row).textContent = episode.actionNames[action] ?? action;
      const track = element("span", "track", row);
      bars.push({ row, bar: element("span", "bar", track), number: element("span", "number", row) });
    });
  }

  const labelRows = episode.labels.map((label) => {
    const row = element("tr", "", byId("label-rows"));
    const head = element("th", "", row);
    head.scope = "row";
    head.textContent = label.name;
    if (label.unit) element("span", "unit", head).textContent = " " + label.unit;
    return { label, row, truth: element("td", "number", row), predicted: element("td", "number", row) };
  });
  byId("label-readings").hidden = labelRows.length === 0;

  function showValues(frame) {
    const row = values[frame];
    const chosen = frame < episode.actions.length ? episode.actions[frame][0] : -1;
    const lowest = row && !probabilities ? Math.min(...row) : 0;
    bars.forEach(({ row: item, bar, number }, action) => {
      const share = row ? (row[action] - lowest) / (probabilities ? 1 : spread) : 0;
      bar.style.width = 100 * share + "%";
      number.textContent = row ? row[action].toFixed(decimals).replace("-", "−") : "–";
      item.classList.toggle("chosen", Boolean(row) && action === chosen);
    });
  }

  function showLabels(frame) {
    for (const { label, row, truth, predicted } of labelRows) {
      truth.textContent = label.true ? labelText(label, label.true[frame]) : "unknown";
      predicted.textContent = label.predicted ? labelText(label, label.predicted[frame]) : "–";
      const comparable = label.true && label.predicted;
      row.classList.toggle("wrong", Boolean(comparable) && isWrong(label, label.true[frame], label.predicted[frame]));
    }
  }

  function show(frame) {
    frame = Math.max(0, Math.min(last, Math.round(frame)));
    if (frame === current) return;
    current = frame;
    const reward = frame > 0 ? episode.rewards[frame - 1] : 0;
    byId("now-frame").textContent = `${frame} / ${last}`;
    byId("now-action").textContent = actionName(frame);
    byId("now-reward").textContent = signed(reward);
    byId("now-reward").className = reward > 0 ? "gain" : reward < 0 ? "loss" : "";
    byId("now-return").textContent = text(returns[frame]);
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `frame ${frame} of ${last}, return ${text(returns[frame])}`);
    byId("marks").style.setProperty("--at", last ? frame / last : 0);
    cursor.setAttribute("x1", frame);
    cursor.setAttribute("x2", frame);
    showValues(frame);
    showLabels(frame);
    draw(frame);
  }

  /* The timeline: rewards as marks, the return so far as a line, one unit of width a frame. */
  const svgNames = "http://www.w3.org/2000/svg";
  const marks = byId("marks");
  marks.setAttribute("viewBox", `0 0 ${Math.max(last, 1)} 100`);

  function shape(name, className, attributes) {
    const made = document.createElementNS(svgNames, name);
    made.setAttribute("class", className);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    marks.append(made);
    return made;
  }

  const lowestReturn = Math.min(...returns), highestReturn = Math.max(...returns);
  const height = (value) => 72 - 62 * (value - lowestReturn) / (highestReturn - lowestReturn || 1);
  const path = returns.map((value, frame) => (frame ? `H${frame}V${height(value).toFixed(1)}` : `M0 ${height(value).toFixed(1)}`));
  shape("path", "line", { d: path.join("") });
  for (const frame of rewarded) {
    const gain = episode.rewards[frame - 1] > 0;
    shape("line", gain ? "gain" : "loss", { x1: frame, x2: frame, y1: 80, y2: 100 });
  }
  const cursor = shape("line", "cursor", { x1: 0, x2: 0, y1: 0, y2: 100 });

  function seekTo(event) {
    const box = marks.getBoundingClientRect();
    pause();
    show((event.clientX - box.left) / box.width * last);
    remember();
  }

  marks.addEventListener("pointerdown", (event) => {
    marks.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  marks.addEventListener("pointermove", (event) => {
    if (event.buttons) seekTo(event);
  });

  /* Playing. */
  function tick(now) {
    if (!playing) return;
    const elapsed = (now - clock.at) / 1000;
    show(clock.frame + Math.floor(elapsed * episode.framesPerSecond * Number(byId("speed").value)));
    if (current >= last) pause();
    else requestAnimationFrame(tick);
  }

  function play() {
    if (current >= last) show(0);
    playing = true;
    reflect();
    restartClock();
    requestAnimationFrame(tick);
  }

  function pause() {
    playing = false;
    reflect();
  }

  function reflect() {
    player.classList.toggle("playing", playing);
    byId("play-button").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  function restartClock() {
    clock = { at: performance.now(), frame: current };
  }

  function toggle() {
    if (playing) {
      pause();
      remember();
    } else {
      play();
    }
  }

  const goals = {
    first: () => 0,
    back: () => current - 1,
    forward: () => current + 1,
    last: () => last,
    nextReward: () => rewarded.find((frame) => frame > current) ?? last,
    previousReward: () => rewarded.findLast((frame) => frame < current) ?? 0,
  };

  function go(goal) {
    pause();
    show(goals[goal]());
    remember();
  }

  /* A link to the frame on show, `#f=120`. */
  function remember() {
    history.replaceState(null, "", `#f=${current}`);
  }

  function linkedFrame() {
    const frame = Number(new URLSearchParams(location.hash.slice(1)).get("f"));
    return Number.isFinite(frame) ? frame : 0;
  }

  /* Keys work while the player has the focus, or while it is on the screen and nothing else has. */
  const keys = {
    ArrowLeft: "back", ArrowRight: "forward", Home: "first", End: "last", ArrowDown: "nextReward", ArrowUp: "previousReward",
  };

  function listens(target) {
    if (player.contains(target)) return target.id !== "speed";
    const box = player.getBoundingClientRect();
    return target === document.body && box.top < innerHeight / 2 && box.bottom > innerHeight / 4;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !listens(event.target)) return;
    if (event.key === " " && event.target.tagName !== "BUTTON") toggle();
    else if (event.key in keys) go(keys[event.key]);
    else return;
    event.preventDefault();
  });

  byId("play-button").addEventListener("click", toggle);
  for (const button of player.querySelectorAll("[data-go]")) {
    button.addEventListener("click", () => go(button.dataset.go));
  }
  slider.addEventListener("input", () => {
    pause();
    show(Number(slider.value));
    remember();
  });
  byId("speed").addEventListener("change", restartClock);
  addEventListener("hashchange", () => show(linkedFrame()));

  screen.width = episode.width;
  screen.height = episode.height;
  slider.max = last;
  show(linkedFrame());
})();
