/* The timeline of an episode: the return so far as a line, and marks for rewards, changes of labels and the end. */
class Timeline {
  static reach = 6;
  static rows = { labels: [66, 80], rewards: [84, 100] };

  constructor(recording, view) {
    this.labels = recording.labels;
    this.view = view;
    this.svg = byId("marks");
    byId("label-key").hidden = this.labels.length === 0;
  }

  load(episode) {
    this.episode = episode;
    this.last = episode.frames - 1;
    this.usual = usualReward(episode.rewards);
    const paid = episode.rewards.flatMap((reward, step) => (reward === this.usual ? [] : [step + 1]));
    this.marks = { rewards: paid, labels: this.changes(episode), end: [this.last] };
    byId("usual-reward").textContent = this.usual ? `not marked: the usual reward ${signedText(this.usual)}` : "";
    this.draw();
  }

  draw() {
    const { returns, rewards } = this.episode;
    const [lowest, highest] = extremes(returns.slice(this.view.first, this.view.last + 1));
    const height = (value) => 58 - 52 * (value - lowest) / (highest - lowest || 1);
    clearChart(this.svg);
    shape(this.svg, "path", "line", { d: this.view.stepPath(returns, height) });
    const gains = this.marks.rewards.filter((frame) => rewards[frame - 1] > this.usual);
    const losses = this.marks.rewards.filter((frame) => rewards[frame - 1] < this.usual);
    this.strokes("change", this.marks.labels, Timeline.rows.labels);
    this.strokes("gain", gains, Timeline.rows.rewards);
    this.strokes("loss", losses, Timeline.rows.rewards);
    this.strokes("end", this.marks.end, [0, 100]);
    this.moveCursor = cursorIn(this.svg);
  }

  strokes(className, frames, [top, bottom]) {
    shape(this.svg, "path", className, { d: this.view.strokePath(frames, top, bottom) });
  }

  show(frame) {
    this.moveCursor(this.view.place(frame));
  }

  /* Frames where a label has another value than before, of all labels. */
  changes(episode) {
    const frames = episode.labels.flatMap((values, position) =>
      changesOf(values.true ?? values.predicted, this.labels[position].kind));
    return [...new Set(frames)].sort((a, b) => a - b);
  }

  next(kind, frame) {
    return this.marks[kind].find((mark) => mark > frame) ?? this.last;
  }

  previous(kind, frame) {
    return this.marks[kind].findLast((mark) => mark < frame) ?? 0;
  }

  /* The frame of the mark that a pointer is near, in its row if there is one; else the frame under it. */
  markUnder(event) {
    const box = this.svg.getBoundingClientRect();
    const height = 100 * (event.clientY - box.top) / box.height;
    const row = Object.keys(Timeline.rows).find((kind) => height >= Timeline.rows[kind][0] && height <= Timeline.rows[kind][1]);
    const marks = row ? [...this.marks[row], ...this.marks.end] : Object.values(this.marks).flat();
    const distance = (frame) => Math.abs(box.left + box.width * this.view.place(frame) / chartWidth - event.clientX);
    const nearest = marks.reduce((best, mark) => (distance(mark) < distance(best) ? mark : best));
    return distance(nearest) <= Timeline.reach ? nearest : this.view.frameUnder(event, this.svg);
  }
}

/* The reward of most steps, such as the price of time; 0 where none is paid in most of them. */
function usualReward(rewards) {
  const counts = new Map();
  for (const reward of rewards) counts.set(reward, (counts.get(reward) ?? 0) + 1);
  for (const [reward, count] of counts) if (count > rewards.length / 2) return reward;
  return 0;
}

/* Labelled frames where a label has another value than in the labelled frame before; of numbers that change all the time only where they appear or vanish. */
function changesOf(values, kind) {
  const labelled = values.flatMap((value, frame) => (value === undefined ? [] : [frame]));
  const before = new Map(labelled.slice(1).map((frame, position) => [frame, values[labelled[position]]]));
  const frames = [...before.keys()].filter((frame) => values[frame] !== before.get(frame));
  if (kind !== "number" || frames.length <= labelled.length / 10) return frames;
  return frames.filter((frame) => (values[frame] === null) !== (before.get(frame) === null));
}
