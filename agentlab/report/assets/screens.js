/* Where frames are shown: the recorded one, and in a comparison the one that came when the episode was stepped again
   and where the two differ. */
class Screens {
  constructor(recording) {
    this.recording = recording;
    this.comparison = recording.comparison;
    this.recorded = byId("screen");
    if (!this.comparison) return;
    this.again = byId("restepped");
    this.differing = byId("differing");
    for (const canvas of [this.recorded, this.again]) canvas.getContext("2d", { willReadFrequently: true });
    for (const figure of document.querySelectorAll(".compared")) figure.hidden = false;
  }

  load(episode) {
    const { width, height, framesPerStrip } = this.recording;
    this.episode = episode;
    this.damaged = new Set(episode.damaged);
    this.film = new Film(`strip-${episode.index}`, { width, height, framesPerStrip });
    this.filmAgain = this.comparison && this.steppedAgain(episode, framesPerStrip);
    byId("damage").hidden = this.damaged.size === 0;
    byId("damage").textContent = `Damaged frames of this episode, shown black: ${some(episode.damaged)}`;
  }

  /* The frames of the episode stepped again: its own where it is equal, none where it was not stepped. */
  steppedAgain(episode, framesPerStrip) {
    const { restepped, index } = episode;
    const differing = this.comparison.episode;
    if (restepped) {
      const { width, height } = restepped;
      return new Film(`restepped-${index}`, { width, height, framesPerStrip }, this.film);
    }
    return differing === null || index < differing ? this.film : null;
  }

  /* Paints a frame, unless another is wanted by the time it is decoded. */
  async show(frame, isWanted) {
    const painted = await this.film.paint(frame, this.recorded, isWanted);
    if (!painted || !this.comparison) return painted;
    this.recorded.setAttribute("aria-label", `Recorded frame ${frame}`);
    byId("recorded-caption").textContent = "Recorded" + rewardText(this.episode.rewards, frame);
    const steppedTo = this.episode.restepped?.frames ?? this.episode.frames;
    const reaches = this.filmAgain && frame < steppedTo;
    if (reaches && !(await this.filmAgain.paint(frame, this.again, isWanted))) return false;
    if (!reaches) this.blank(this.again);
    byId("restepped-caption").textContent = this.captionAgain(frame, reaches);
    byId("differing-caption").textContent = reaches ? this.showDifference() : "";
    if (!reaches) this.blank(this.differing);
    return true;
  }

  captionAgain(frame, reaches) {
    if (!this.filmAgain) return "Not stepped again";
    if (!reaches) return "Stepped again: ended before";
    const rewards = this.episode.restepped?.rewards ?? this.episode.rewards;
    return "Stepped again" + rewardText(rewards, frame);
  }

  blank(canvas) {
    canvas.width = this.recording.width;
    canvas.height = this.recording.height;
  }

  /* Paints pixels that differ white and all others faintly, and says how many differ. */
  showDifference() {
    const { width, height } = this.recorded;
    if (this.again.width !== width || this.again.height !== height) {
      this.blank(this.differing);
      return `Of another size: ${this.again.width} × ${this.again.height}`;
    }
    const read = (canvas) => canvas.getContext("2d").getImageData(0, 0, width, height);
    const one = read(this.recorded), other = read(this.again);
    let count = 0;
    for (let at = 0; at < one.data.length; at += 4) {
      const differs = [0, 1, 2, 3].some((channel) => one.data[at + channel] !== other.data[at + channel]);
      count += differs;
      for (const channel of [0, 1, 2]) one.data[at + channel] = differs ? 255 : one.data[at + channel] / 4;
      one.data[at + 3] = 255;
    }
    this.blank(this.differing);
    this.differing.getContext("2d").putImageData(one, 0, 0);
    return count ? `Differing pixels: ${count.toLocaleString("en")}` : "No pixel differs";
  }
}

/* The first few of many. */
function some(numbers, most = 10) {
  const more = numbers.length - most;
  return numbers.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function rewardText(rewards, frame) {
  return frame ? `, reward ${signedText(rewards[frame - 1])}` : "";
}
