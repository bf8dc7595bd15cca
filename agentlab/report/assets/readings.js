/* What happens at a frame in numbers: action, reward, return, the run's values, and labels. The elements are made once
   an episode, then filled at each frame. */
class Readings {
  constructor(recording) {
    this.recording = recording;
    this.labelRows = recording.labels.map((label) => this.labelRow(label));
    byId("label-readings").hidden = this.labelRows.length === 0;
  }

  load(episode) {
    this.episode = episode;
    const values = episode.values;
    this.isProbability = episode.valuesKind === "probability";
    this.spread = values.reduce((most, row) => Math.max(most, Math.max(...row) - Math.min(...row)), 1e-9);
    this.decimals = this.isProbability ? 3 : Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(this.spread))));
    byId("values").hidden = values.length === 0;
    byId("values-title").textContent = this.isProbability ? "Probability per action" : "Value per action";
    byId("values-note").textContent = (this.isProbability ? ""
      : "Bars show how much better than the worst action; a full bar is the largest such difference in the episode. ")
      + "Blue is the action taken, ▸ the one that the run holds best.";
    byId("label-readings").classList.toggle("unpredicted", !episode.labels.some(({ predicted }) => predicted));
    byId("confidence-note").hidden = !episode.labels.some(({ confidences }) => confidences);
    byId("value-bars").replaceChildren();
    this.bars = (values[0] ?? []).map((_, action) => this.valueBar(action));
  }

  valueBar(action) {
    const row = element("li", "", byId("value-bars"));
    element("span", "name", row).textContent = this.recording.actionNames[action] ?? action;
    const track = element("span", "track", row);
    return { row, bar: element("span", "bar", track), number: element("span", "number", row) };
  }

  labelRow(label) {
    const row = element("tr", "", byId("label-rows"));
    const head = element("th", "", row);
    head.scope = "row";
    head.textContent = label.name;
    if (label.unit) element("span", "unit", head).textContent = " " + label.unit;
    return { label, row, truth: element("td", "number", row), predicted: element("td", "number", row) };
  }

  show(frame) {
    const { rewards, returns, actions, ending, frames } = this.episode;
    const reward = frame > 0 ? rewards[frame - 1] : 0;
    byId("now-frame").textContent = `${frame} / ${frames - 1}`;
    byId("now-action").textContent = frame < actions.length ? actionText(this.recording, actions[frame]) : ending;
    byId("now-reward").textContent = signedText(reward);
    byId("now-reward").className = reward > 0 ? "gain" : reward < 0 ? "loss" : "";
    byId("now-return").textContent = numberText(returns[frame]);
    this.showValues(frame);
    this.showLabels(frame);
  }

  showValues(frame) {
    const row = this.episode.values[frame];
    const chosen = this.episode.actions[frame]?.[0] - this.recording.firstAction;
    const best = row ? row.indexOf(Math.max(...row)) : -1;
    const lowest = row && !this.isProbability ? Math.min(...row) : 0;
    this.bars.forEach(({ row: item, bar, number }, action) => {
      const share = row ? (row[action] - lowest) / (this.isProbability ? 1 : this.spread) : 0;
      bar.style.width = 100 * share + "%";
      number.textContent = row ? row[action].toFixed(this.decimals).replace("-", "−") : "–";
      item.classList.toggle("chosen", Boolean(row) && action === chosen);
      item.classList.toggle("best", action === best);
    });
  }

  showLabels(frame) {
    this.labelRows.forEach(({ label, row, truth, predicted }, position) => {
      const values = this.episode.labels[position];
      truth.textContent = values.true ? labelText(label, values.true[frame]) : "unknown";
      predicted.textContent = values.predicted ? labelText(label, values.predicted[frame]) : "–";
      if (values.confidences) element("span", "confidence", predicted).textContent = ` ${values.confidences[frame]}%`;
      const comparable = values.true && values.predicted;
      row.classList.toggle("wrong", Boolean(comparable) && isWrong(label, values.true[frame], values.predicted[frame]));
    });
  }
}

function isWrong(label, truth, predicted) {
  if (truth === undefined) return false;
  if (truth === null || predicted === null) return (truth === null) !== (predicted === null);
  return label.kind === "number" ? Math.abs(truth - predicted) > label.tolerance : truth !== predicted;
}
