/* What shows a session's video, however it comes: LivePlayer (live_player.js) and HlsPlayer (live_hls.js).

   new Player(video, {shown, failed, refused}), within the press that asked for it: `shown(now, facts)` is called with each
   picture as it is shown (as by requestVideoFrameCallback), `failed(why)` where it cannot go on, `refused(error)` where
   the browser does not play by itself. Times are those of what was sent, the browser's are less by `origin`. */

class LiveVideo {
  constructor(video, { shown, failed, refused }) {
    Object.assign(this, { video, shown, failed, refused, hushedUntil: 0, origin: 0 });
    this.muted = video.muted;
    this.open = new AbortController();
    this.heard = { signal: this.open.signal };
    video.addEventListener("error", () => this.failed(video.error?.message || "this browser cannot play it"), this.heard);
    this.look();
  }

  /* To be called within a press: browsers play no sound else. */
  play() {
    this.video.play().catch((error) => this.closed || this.refused(error));
  }

  /* Seconds that what is shown is behind what has arrived. */
  get behind() {
    const { buffered, currentTime } = this.video;
    return buffered.length ? buffered.end(buffered.length - 1) - currentTime : 0;
  }

  /* Let nothing be heard until that moment of the video: it was taken back after it had arrived. */
  hushUntil(time) {
    this.hushedUntil = time;
    this.listen();
  }

  mute(muted) {
    this.muted = muted;
    this.listen();
  }

  close() {
    this.open.abort();
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.video.muted = this.muted;
  }

  get closed() {
    return this.open.signal.aborted;
  }

  listen() {
    this.video.muted = this.muted || this.video.currentTime + this.origin < this.hushedUntil;
  }

  look() {
    const tell = (now, facts) => {
      if (this.closed) return;
      this.seen(now);
      this.listen();
      this.shown(now, facts);
      this.look();
    };
    const { video } = this;
    if (video.requestVideoFrameCallback) return video.requestVideoFrameCallback(tell);
    requestAnimationFrame((now) => tell(now, { mediaTime: video.currentTime, expectedDisplayTime: now }));
  }

  /* A picture is shown, or might be. */
  seen() {}
}
