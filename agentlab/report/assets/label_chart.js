/* A chart of one label over the episode, which the reader chooses: its true values and those predicted. */
class LabelChart {
  constructor(recording, view) {
    this.labels = recording.labels;
    this.view = view;
    this.svg = byId("label-line");
    this.choice = byId("label-choice");
    this.frame = 0;
    byId("label-chart").hidden = this.labels.length === 0;
    this.labels.forEach((label, position) => {
      const option = element("option", "", this.choice);
      option.value = position;
      option.textContent = label.name;
    });
    this.choice.addEventListener("change", () => {
      this.draw();
      this.show(this.frame);
    });
  }

  load(episode) {
    this.episode = episode;
    this.draw();
  }

  draw() {
    const label = this.labels[this.choice.value];
    if (!label) return;
    const { true: truth, predicted } = this.episode.labels[this.choice.value];
    const [lowest, highest] = rangeOf(label, [...(truth ?? []), ...(predicted ?? [])]);
    const height = (value) => 94 - 88 * (value - lowest) / (highest - lowest || 1);
    clearChart(this.svg);
    if (predicted) shape(this.svg, "path", "predicted", { d: this.view.stepPath(predicted, height) });
    if (truth) shape(this.svg, "path", "true", { d: this.view.stepPath(truth, height) });
    this.moveCursor = cursorIn(this.svg);
    byId("label-high").textContent = labelText(label, highest);
    byId("label-low").textContent = labelText(label, lowest);
    byId("true-key").hidden = !truth;
    byId("predicted-key").hidden = !predicted;
    this.svg.setAttribute("aria-label", `${label.name} over the episode`);
  }

  show(frame) {
    this.frame = frame;
    this.moveCursor?.(this.view.place(frame));
  }
}

/* From where to where a label's chart goes. */
function rangeOf(label, values) {
  if (label.kind === "flag") return [0, 1];
  if (label.kind === "category") return [0, label.classes.length - 1];
  const there = values.filter(isThere);
  return there.length ? extremes(there) : [0, label.span];
}
