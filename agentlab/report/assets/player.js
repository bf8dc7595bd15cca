/* Plays the episodes of a recording: one at a time, a frame of it on show. */
class Player {
  constructor(recording) {
    this.recording = recording;
    this.episode = null;
    this.frame = -1;
    this.clock = { at: 0, frame: 0 };
    this.box = byId("player");
    this.slider = byId("slider");
    this.screens = new Screens(recording);
    this.view = new View();
    this.timeline = new Timeline(recording, this.view);
    this.charts = [this.timeline, new LabelChart(recording, this.view)];
    this.parts = [new Readings(recording), ...this.charts];
    byId("key-episodes").hidden = recording.episodes.length === 1;
    byId("now-episode").hidden = recording.episodes.length === 1;
    byId("key-difference").hidden = recording.comparison?.frame == null;
    byId("speed").title = `1× is ${numberText(recording.framesPerSecond)} frames a second`;
    this.listen();
    this.follow();
  }

  /* What is on show. */
  load(position) {
    const facts = this.recording.episodes[position];
    this.position = position;
    this.episode = { ...facts, ...JSON.parse(byId(`episode-${facts.index}`).textContent) };
    for (const { true: truth } of this.episode.labels) {
      for (const frame of truth ? this.episode.unlabelled : []) truth[frame] = undefined;
    }
    this.episode.returns = [0];
    for (const reward of this.episode.rewards) this.episode.returns.push(this.episode.returns.at(-1) + reward);
    this.frame = -1;
    this.last = facts.frames - 1;
    this.slider.max = this.last;
    this.view.load(facts.frames);
    for (const part of [this.screens, ...this.parts]) part.load(this.episode);
    byId("now-episode").textContent = `Episode ${facts.index}`;
    markInList(facts.index);
  }

  show(frame) {
    const wanted = Math.max(0, Math.min(this.last, Math.round(frame)));
    if (wanted === this.frame) return;
    this.frame = wanted;
    const { episode } = this;
    this.turn();
    for (const part of this.parts) part.show(wanted);
    this.slider.value = wanted;
    this.slider.setAttribute("aria-valuetext",
      `frame ${wanted} of ${this.last}, return ${numberText(episode.returns[wanted])}`);
    delete this.box.dataset.drawn;
    this.screens.show(wanted, () => this.frame === wanted && this.episode === episode).then((isDrawn) => {
      if (isDrawn) this.box.dataset.drawn = `${episode.index}:${wanted}`;
    });
  }

  /* Has the charts show the frames around the one on show. */
  turn() {
    if (this.view.turnTo(this.frame)) for (const chart of this.charts) chart.draw();
  }

  /* A jump, by key or mouse, after which the link is that of the new frame. */
  go(frame) {
    this.pause();
    this.show(frame);
    this.remember();
  }

  goToDifference() {
    const { episode, frame } = this.recording.comparison ?? {};
    if (episode === undefined || episode === null || frame === null) return;
    this.goToEpisode(this.recording.episodes.findIndex(({ index }) => index === episode));
    this.go(frame);
  }

  goToEpisode(position) {
    if (position === this.position || !this.recording.episodes[position]) return;
    this.pause();
    this.load(position);
    this.go(0);
  }

  /* Playing. */
  get isPlaying() {
    return this.box.classList.contains("playing");
  }

  toggle() {
    if (!this.isPlaying) return this.play();
    this.pause();
    return this.remember();
  }

  play() {
    if (this.frame >= this.last) this.show(0);
    this.say(true);
    this.restartClock();
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.say(false);
  }

  say(isPlaying) {
    this.box.classList.toggle("playing", isPlaying);
    byId("play-button").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
  }

  restartClock() {
    this.clock = { at: performance.now(), frame: this.frame };
  }

  tick(now) {
    if (!this.isPlaying) return;
    const speed = this.recording.framesPerSecond * Number(byId("speed").value);
    this.show(this.clock.frame + Math.floor(Math.max(0, now - this.clock.at) / 1000 * speed));
    if (this.frame < this.last) {
      requestAnimationFrame((next) => this.tick(next));
      return;
    }
    this.pause();
    this.remember();
  }

  /* A link to the frame on show, `#ep=3&f=120`; browsers refuse to have it renewed at every step of a held key. */
  remember() {
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() =>
      history.replaceState(null, "", `#ep=${this.episode.index}&f=${this.frame}`), 150);
  }

  follow() {
    clearTimeout(this.remembering);
    const link = new URLSearchParams(location.hash.slice(1));
    if (this.episode && !link.has("ep") && !link.has("f")) return;
    const named = link.has("ep") ? Number(link.get("ep")) : this.episode?.index ?? this.recording.episodes[0].index;
    const position = this.recording.episodes.findIndex(({ index }) => index === named);
    if (this.episode && position < 0) return;
    this.pause();
    if (position !== this.position) this.load(Math.max(position, 0));
    this.show(position < 0 ? 0 : Number(link.get("f")) || 0);
  }

  /* Keys work while the player has the focus, or while it is on the screen and nothing else has. */
  listensTo(target) {
    if (this.box.contains(target)) return target.tagName !== "SELECT";
    const box = this.box.getBoundingClientRect();
    return target === document.body && box.top < innerHeight / 2 && box.bottom > innerHeight / 4;
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.listensTo(event.target)) return;
    const isEpisodeKey = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (isEpisodeKey && this.recording.episodes.length === 1) return;
    const key = (event.shiftKey ? "Shift+" : "") + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const act = keys[key];
    if (!act || (key === " " && event.target.tagName === "BUTTON")) return;
    act(this);
    event.preventDefault();
  }

  listen() {
    document.addEventListener("keydown", (event) => this.press(event));
    addEventListener("hashchange", () => this.follow());
    byId("play-button").addEventListener("click", () => this.toggle());
    for (const button of this.box.querySelectorAll("[data-key]")) {
      button.addEventListener("click", () => keys[button.dataset.key](this));
    }
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    byId("speed").addEventListener("change", () => this.restartClock());
    this.view.choice.addEventListener("change", () => {
      this.turn();
      for (const chart of this.charts) chart.show(this.frame);
    });
    this.seekOn(byId("marks"), (event) => this.timeline.markUnder(event));
    this.seekOn(byId("label-line"), (event) => this.view.frameUnder(event, byId("label-line")));
  }

  /* A click goes to what `target` finds under the pointer, pulling on from there to any frame. */
  seekOn(chart, target) {
    let from = null;
    chart.addEventListener("pointerdown", (event) => {
      from = event.clientX;
      chart.setPointerCapture(event.pointerId);
      this.go(target(event));
    });
    chart.addEventListener("pointermove", (event) => {
      if (event.buttons && Math.abs(event.clientX - (from ?? event.clientX)) > Timeline.reach) from = null;
      if (event.buttons && from === null) this.go(this.view.frameUnder(event, chart));
    });
  }
}

/* As in Rerun where it has them: space, left and right, Home and End. */
const keys = {
  " ": (player) => player.toggle(),
  "ArrowLeft": (player) => player.go(player.frame - 1),
  "ArrowRight": (player) => player.go(player.frame + 1),
  "Shift+ArrowLeft": (player) => player.go(player.frame - player.recording.framesPerSecond),
  "Shift+ArrowRight": (player) => player.go(player.frame + player.recording.framesPerSecond),
  "Home": (player) => player.go(0),
  "End": (player) => player.go(player.last),
  "ArrowUp": (player) => player.goToEpisode(player.position - 1),
  "ArrowDown": (player) => player.goToEpisode(player.position + 1),
  "r": (player) => player.go(player.timeline.next("rewards", player.frame)),
  "Shift+r": (player) => player.go(player.timeline.previous("rewards", player.frame)),
  "d": (player) => player.goToDifference(),
  "l": (player) => player.go(player.timeline.next("labels", player.frame)),
  "Shift+l": (player) => player.go(player.timeline.previous("labels", player.frame)),
};

function markInList(index) {
  for (const link of document.querySelectorAll("#episodes a")) {
    const isCurrent = link.getAttribute("href").startsWith(`#ep=${index}&`);
    if (isCurrent) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (isCurrent) scrollIntoList(link.closest("tr"));
  }
}

/* Scrolls the list, and never the page. */
function scrollIntoList(row) {
  const list = row.closest(".scroll"), head = list.querySelector("thead").offsetHeight;
  const shown = list.getBoundingClientRect(), there = row.getBoundingClientRect();
  if (there.top < shown.top + head) list.scrollTop -= shown.top + head - there.top;
  else if (there.bottom > shown.bottom) list.scrollTop += there.bottom - shown.bottom;
}

if (byId("recording")) new Player(JSON.parse(byId("recording").textContent));
