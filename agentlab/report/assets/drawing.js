/* Charts over the frames of an episode, as wide as the timeline, so that one place is one frame in all of them. */

const svgNames = "http://www.w3.org/2000/svg";
const chartWidth = 1000;

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

function place(frame, last) {
  return Math.round(chartWidth * 10 * frame / Math.max(last, 1)) / 10;
}

/* Which frame lies under the pointer. */
function frameAt(event, svg, last) {
  const box = svg.getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  return Math.round(Math.max(0, Math.min(1, share)) * last);
}

/* A line of steps through values, one a frame, broken where there are none; where frames are denser than places, over
   the range of those at one place. `height` says where a value lies. */
function stepPath(values, height) {
  const last = values.length - 1;
  const perPlace = Math.ceil(values.length / (2 * chartWidth));
  const path = [];
  let isDrawing = false;
  for (let first = 0; first <= last; first += perPlace) {
    const there = values.slice(first, first + perPlace).filter((value) => value !== null);
    if (!there.length) {
      isDrawing = false;
      continue;
    }
    const x = place(first, last), y = height(there[0]).toFixed(1);
    path.push(isDrawing ? `H${x}V${y}` : `M${x} ${y}h0`);
    if (there.length > 1) path.push(`V${height(Math.min(...there)).toFixed(1)}V${height(Math.max(...there)).toFixed(1)}`);
    if (there.length > 1) path.push(`V${height(there[there.length - 1]).toFixed(1)}`);
    isDrawing = true;
  }
  return path.join("");
}

/* Upright strokes at frames, those at one place once. */
function strokePath(frames, last, top, bottom) {
  const places = new Set(frames.map((frame) => place(frame, last)));
  return [...places].map((x) => `M${x} ${top}V${bottom}`).join("");
}

/* The line that shows where the player is. */
function cursorIn(svg) {
  const line = shape(svg, "line", "cursor", { x1: 0, x2: 0, y1: 0, y2: 100 });
  return (x) => {
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  };
}
