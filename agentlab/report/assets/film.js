/* The frames of one episode: strips of several, decoded when they are needed, the most recent ones kept. */
class Film {
  static kept = 8;

  constructor(name, size, fallback = null) {
    this.name = name;
    this.size = size;
    this.fallback = fallback;
    this.decoded = new Map();
  }

  /* Paints a frame as soon as its strip is decoded, unless it is no longer wanted by then. */
  async paint(frame, canvas, isWanted) {
    const { width, height, framesPerStrip } = this.size;
    const index = Math.floor(frame / framesPerStrip);
    const image = await this.strip(index);
    if (!isWanted()) return false;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.drawImage(image, (frame % framesPerStrip) * width, 0, width, height, 0, 0, width, height);
    this.strip(index + 1);
    return true;
  }

  strip(index) {
    const decoded = this.decoded.get(index) ?? this.decode(index);
    this.decoded.delete(index);
    if (decoded) this.decoded.set(index, decoded);
    if (this.decoded.size > Film.kept) this.decoded.delete(this.decoded.keys().next().value);
    return decoded;
  }

  decode(index) {
    const source = byId(`${this.name}-${index}`);
    if (!source) return this.fallback?.strip(index);
    const image = new Image();
    image.src = "data:image/png;base64," + source.textContent;
    return image.decode().then(() => image);
  }
}
