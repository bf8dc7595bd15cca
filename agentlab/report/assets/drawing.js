/* Charts over the frames of an episode, all as wide as the timeline, so that one place is one frame in each. */

const svgNames = "http://www.w3.org/2000/svg";
const chartWidth = 1000;

/* The frames that charts show: all of an episode, or so many at a time, leafed through as the player goes on. */
class View {
  constructor() {
    this.choice = byId("view-choice");
  }

  load(frames) {
    this.end = frames - 1;
    this.turnTo(0);
  }

  /* Makes a frame one of those on show, and says whether that changed them. */
  turnTo(frame) {
    const before = [this.first, this.last];
    const span = Number(this.choice.value) || this.end + 1;
    this.first = Math.max(0, Math.min(Math.floor(frame / span) * span, this.end - span));
    this.last = Math.min(this.first + span, this.end);
    return this.first !== before[0] || this.last !== before[1];
  }

  place(frame) {
    return Math.round(chartWidth * 10 * (frame - this.first) / Math.max(this.last - this.first, 1)) / 10;
  }

  frameUnder(event, svg) {
    const box = svg.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    return this.first + Math.round(share * (this.last - this.first));
  }

  /* A line of steps through values, one a frame, broken where there are none; where frames are denser than places,
     over the range of those at one place. `height` says where a value lies. */
  stepPath(values, height) {
    const perPlace = Math.ceil((this.last - this.first + 1) / (2 * chartWidth));
    const path = [];
    let isDrawing = false;
    for (let frame = this.first; frame <= this.last; frame += perPlace) {
      const until = Math.min(frame + perPlace, this.last + 1);
      const heights = values.slice(frame, until).filter(isThere).map((value) => height(value).toFixed(1));
      if (heights.length) path.push(isDrawing ? `H${this.place(frame)}V${heights[0]}` : `M${this.place(frame)} ${heights[0]}h0`);
      if (heights.length > 1) path.push(`V${Math.min(...heights)}V${Math.max(...heights)}V${heights.at(-1)}`);
      isDrawing = heights.length > 0;
    }
    return path.join("");
  }

  /* Upright strokes at frames, those at one place once. */
  strokePath(frames, top, bottom) {
    const there = frames.filter((frame) => frame >= this.first && frame <= this.last);
    const places = new Set(there.map((frame) => this.place(frame)));
    return [...places].map((x) => `M${x} ${top}V${bottom}`).join("");
  }
}

function clearChart(svg) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${chartWidth} 100`);
}

function shape(svg, name, className, attributes) {
  const made = document.createElementNS(svgNames, name);
  made.setAttribute("class", className);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  svg.append(made);
  return made;
}

/* The line that shows where the player is. */
function cursorIn(svg) {
  const line = shape(svg, "line", "cursor", { x1: 0, x2: 0, y1: 0, y2: 100 });
  return (x) => {
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  };
}
