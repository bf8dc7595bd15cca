/* The timeline of an episode: the return so far as a line, and marks for rewards, changes of labels and the end. */
class Timeline {
  static reach = 6;
  static rows = { labels: [66, 80], rewards: [84, 100] };

  constructor(recording) {
    this.labels = recording.labels;
    this.svg = byId("marks");
    byId("label-key").hidden = this.labels.length === 0;
  }

  load(episode) {
    this.last = episode.frames - 1;
    this.usual = usualReward(episode.rewards);
    const paid = episode.rewards.flatMap((reward, step) => (reward === this.usual ? [] : [step + 1]));
    this.marks = { rewards: paid, labels: this.changes(episode), end: [this.last] };
    byId("usual-reward").textContent = this.usual ? `not marked: the usual reward ${signedText(this.usual)}` : "";
    this.draw(episode);
  }

  draw(episode) {
    clearChart(this.svg);
    const lowest = episode.returns.reduce((a, b) => Math.min(a, b)), highest = episode.returns.reduce((a, b) => Math.max(a, b));
    const height = (value) => 58 - 52 * (value - lowest) / (highest - lowest || 1);
    shape(this.svg, "path", "line", { d: stepPath(episode.returns, height) });
    const gains = this.marks.rewards.filter((frame) => episode.rewards[frame - 1] > this.usual);
    const losses = this.marks.rewards.filter((frame) => episode.rewards[frame - 1] < this.usual);
    const { labels, rewards } = Timeline.rows;
    shape(this.svg, "path", "change", { d: strokePath(this.marks.labels, this.last, ...labels) });
    shape(this.svg, "path", "gain", { d: strokePath(gains, this.last, ...rewards) });
    shape(this.svg, "path", "loss", { d: strokePath(losses, this.last, ...rewards) });
    shape(this.svg, "path", "end", { d: strokePath(this.marks.end, this.last, 0, 100) });
    this.moveCursor = cursorIn(this.svg);
  }

  show(frame) {
    this.moveCursor(place(frame, this.last));
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
  markAt(event) {
    const box = this.svg.getBoundingClientRect();
    const height = 100 * (event.clientY - box.top) / box.height;
    const row = Object.keys(Timeline.rows).find((kind) => height >= Timeline.rows[kind][0] && height <= Timeline.rows[kind][1]);
    const distance = (frame) => Math.abs(box.left + box.width * frame / Math.max(this.last, 1) - event.clientX);
    const marks = row ? [...this.marks[row], ...this.marks.end] : Object.values(this.marks).flat();
    const nearest = marks.reduce((best, mark) => (distance(mark) < distance(best) ? mark : best), this.last);
    return distance(nearest) <= Timeline.reach ? nearest : frameAt(event, this.svg, this.last);
  }
}

/* The reward of most steps, such as the price of time; 0 where none is paid in most of them. */
function usualReward(rewards) {
  const counts = new Map();
  for (const reward of rewards) counts.set(reward, (counts.get(reward) ?? 0) + 1);
  for (const [reward, count] of counts) if (count > rewards.length / 2) return reward;
  return 0;
}

/* Frames where a label changes; of numbers that change all the time only where they appear or vanish. */
function changesOf(values, kind) {
  const frames = values.flatMap((value, frame) => (frame && value !== values[frame - 1] ? [frame] : []));
  if (kind !== "number" || frames.length <= values.length / 10) return frames;
  return frames.filter((frame) => (values[frame] === null) !== (values[frame - 1] === null));
}
