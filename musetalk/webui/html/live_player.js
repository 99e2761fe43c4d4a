/* Plays fragmented MP4 while it arrives, near its end: what is late is made up for, and what was shown is let go. */

const NEAR = 0.2; // seconds behind the end of what arrived: less, and each hiccup of a network is heard
const MOST_NEAR = 1; // the same where hiccups were many
const LEARN = 0.1; // what a hiccup adds to it
const FORGET = 0.005; // what a second without one takes away
const SLACK = 0.1; // how much later it may be before it hurries
const HURRY = 1.06; // how quickly then; nobody hears that
const JUMP = 1; // how much later it may be before it leaves out what it has missed
const KEPT = 10; // seconds that stay behind what is shown
const SWEEP = 20; // how many more there are before they are let go

class LivePlayer extends LiveVideo {
  static wish = {}; // it comes by itself

  static get Source() {
    return globalThis.ManagedMediaSource ?? globalThis.MediaSource; // iPhones have the first one alone
  }

  constructor(video, told) {
    super(video, told);
    Object.assign(this, { queue: [], near: NEAR, hiccups: 0 });
    this.media = new LivePlayer.Source();
    this.address = URL.createObjectURL(this.media);
    this.media.addEventListener("sourceopen", () => this.begin(), this.heard);
    video.addEventListener("waiting", () => this.hiccup(), this.heard);
    video.disableRemotePlayback = true; // or iPhones open no source
    video.src = this.address;
    this.play();
  }

  /* What will come. */
  expect({ mime }) {
    this.mime = mime;
    if (!LivePlayer.Source.isTypeSupported(mime)) return this.failed(`this browser cannot play ${mime}`);
    this.begin();
  }

  append(data) {
    this.queue.push(new Uint8Array(data));
    this.feed();
  }

  close() {
    super.close();
    this.queue = [];
    URL.revokeObjectURL(this.address);
  }

  begin() {
    if (this.buffer || !this.mime || this.media.readyState !== "open") return;
    this.buffer = this.media.addSourceBuffer(this.mime);
    this.buffer.addEventListener("updateend", () => this.updated(), this.heard);
    this.feed();
  }

  feed() {
    const { buffer, queue } = this;
    if (this.closed || !buffer || buffer.updating || !queue.length) return;
    const all = new Uint8Array(queue.reduce((size, piece) => size + piece.length, 0));
    let place = 0;
    for (const piece of queue) {
      all.set(piece, place);
      place += piece.length;
    }
    try {
      buffer.appendBuffer(all);
      this.queue = [];
    } catch (error) {
      if (error.name !== "QuotaExceededError" || !this.forget(1)) return this.failed(error.message);
      this.queue = [all]; // again, once there is room
    }
  }

  updated() {
    if (this.closed) return;
    this.keepUp();
    if (this.buffer.updating) return; // something arrived between its end and this
    const { buffered, currentTime } = this.video;
    if (buffered.length && currentTime - buffered.start(0) > KEPT + SWEEP) this.forget(KEPT);
    this.feed();
  }

  /* Let go of what is further back than so many seconds; says whether there is any. */
  forget(seconds) {
    const { buffered, currentTime } = this.video;
    const end = currentTime - seconds;
    if (!buffered.length || end <= buffered.start(0)) return false;
    this.buffer.remove(0, end);
    return true;
  }

  keepUp() {
    const { video, behind } = this;
    if (!video.buffered.length || video.seeking) return;
    const start = video.buffered.start(video.buffered.length - 1);
    if (video.currentTime < start || behind > this.near + JUMP) {
      video.currentTime = Math.max(start, video.currentTime + behind - this.near);
      video.playbackRate = 1;
    } else if (behind > this.near + SLACK) video.playbackRate = HURRY;
    else if (behind < this.near) video.playbackRate = 1;
  }

  hiccup() {
    if (this.video.seeking || !this.last) return; // it has not begun yet
    this.hiccups += 1;
    this.near = Math.min(this.near + LEARN, MOST_NEAR);
  }

  seen(now) {
    if (this.last) this.near = Math.max(NEAR, this.near - (FORGET * (now - this.last)) / 1000);
    this.last = now;
  }
}
