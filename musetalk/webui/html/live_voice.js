/* Voices for live speech: from a file or a microphone, as int16 in chunks of 80 ms, each as it would be heard.

   A voice calls `say(pcm, voiced)` with each chunk, `voiced` where somebody speaks in it, and `pause()` where the voice
   ends for now; a file calls `done()` at its end. */

const RATE = 16_000;
const CHUNK = 0.08 * RATE;
const QUIET = 0.004; // of full scale: nobody speaks at a level below
const FLOOR = 3; // times the room's own level: the same
const FLOOR_RISES = 1.004; // a chunk: a room that has become louder is learned within a minute
const MOST_FLOOR = 0.01;
const KEPT_BEFORE = 2; // chunks before a voice, which begins more softly than it goes on
const KEPT_AFTER = 8; // chunks in which it may draw breath
const MOST_LATE = 0.4; // seconds that the page may be busy before it drops what was heard meanwhile: else it stays as late
const HIDDEN_AHEAD = 1500; // ms: where nobody looks, browsers let timers run once a second

/* Hands on what the microphone hears, at RATE, in chunks. Runs beside the page, which may be busy. */
const WORKLET = `
registerProcessor("chunks", class extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, chunk } }) {
    super();
    Object.assign(this, { step: sampleRate / rate, place: 0, last: 0, filled: 0, chunk: new Float32Array(chunk) });
  }
  process([[heard]]) {
    if (!heard) return true;
    for (; this.place < heard.length; this.place += this.step) {
      const index = Math.floor(this.place), share = this.place - index;
      const before = index ? heard[index - 1] : this.last;
      this.chunk[this.filled++] = before + share * (heard[index] - before);
      if (this.filled < this.chunk.length) continue;
      this.port.postMessage({ chunk: this.chunk.slice(), at: currentTime });
      this.filled = 0;
    }
    this.place -= heard.length;
    this.last = heard[heard.length - 1];
    return true;
  }
});`;

const toPcm = (samples) => Int16Array.from(samples, (each) => Math.round(32767 * Math.max(-1, Math.min(1, each))));
const level = (samples) => Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);

class FileVoice {
  constructor(samples, { say, pause, done }) {
    Object.assign(this, { samples, say, pause, done, place: 0, began: performance.now() });
    this.timer = setInterval(() => this.tick(), 20);
    this.hidden = () => this.tick();
    document.addEventListener("visibilitychange", this.hidden);
  }

  /* The sound of a file, at RATE, one channel. */
  static async read(file) {
    const heard = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
    const samples = new Float32Array(heard.length);
    for (let channel = 0; channel < heard.numberOfChannels; channel += 1)
      heard.getChannelData(channel).forEach((each, place) => (samples[place] += each / heard.numberOfChannels));
    return samples;
  }

  tick() {
    const ahead = document.hidden ? HIDDEN_AHEAD : 0;
    const due = ((performance.now() - this.began + ahead) / 1000) * RATE;
    while (this.place < this.samples.length && Math.min(this.place + CHUNK, this.samples.length) <= due) {
      const chunk = this.samples.subarray(this.place, this.place + CHUNK);
      this.place += CHUNK;
      this.say(toPcm(chunk), level(chunk) > QUIET);
    }
    if (this.place < this.samples.length) return;
    this.stop();
    this.pause();
    this.done();
  }

  stop() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.hidden);
  }
}

/* Tells speech from a room's own sound: only speech is sent, and the source rests in between. */
class Microphone {
  constructor({ say, pause, failed }) {
    Object.assign(this, { say, pause, failed, before: [], after: 0, floor: 0 });
  }

  async start() {
    const echoless = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: echoless });
    try {
      await this.listen(new AudioContext({ sampleRate: RATE }));
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error; // Firefox: the microphone's own rate has to do
      await this.context.close();
      await this.listen(new AudioContext());
    }
    const [track] = this.stream.getAudioTracks();
    track.addEventListener("ended", () => this.failed("the microphone was taken away"));
    if (this.stopped) this.stop(); // while its use was asked for
  }

  async listen(context) {
    this.context = context;
    const module = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
    try {
      await context.audioWorklet.addModule(module);
    } finally {
      URL.revokeObjectURL(module);
    }
    let heard = context.createMediaStreamSource(this.stream);
    for (const q of context.sampleRate > RATE ? [0.54, 1.31] : []) // a Butterworth of the fourth order
      heard = heard.connect(new BiquadFilterNode(context, { type: "lowpass", frequency: 0.43 * RATE, Q: 20 * Math.log10(q) }));
    const options = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    const chunks = new AudioWorkletNode(context, "chunks", { ...options, processorOptions: { rate: RATE, chunk: CHUNK } });
    chunks.port.onmessage = ({ data: { chunk, at } }) => context.currentTime - at < MOST_LATE && this.hear(chunk);
    heard.connect(chunks);
    await context.resume();
  }

  hear(chunk) {
    const loud = level(chunk);
    this.floor = Math.min(loud, MOST_FLOOR, Math.max(this.floor, QUIET / FLOOR) * FLOOR_RISES);
    const voiced = loud > Math.max(QUIET, FLOOR * this.floor);
    const pcm = toPcm(chunk);
    if (voiced) {
      for (const earlier of this.before.splice(0)) this.say(earlier, false);
      this.after = KEPT_AFTER;
    }
    if (this.after > 0) {
      this.say(pcm, voiced);
      if (!voiced && --this.after === 0) this.pause();
    } else if (this.before.push(pcm) > KEPT_BEFORE) this.before.shift();
  }

  /* Begin anew: what was said so far was taken back. */
  drop() {
    this.after = 0;
    this.before = [];
  }

  stop() {
    this.stopped = true;
    if (this.after > 0) this.pause();
    this.drop();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}
