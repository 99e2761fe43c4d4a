/* The Live tab: a session with an avatar over the WebSocket `live`, see docs/live.md. The body of a function of `element`
   (the component) and `trigger`, behind the players and the voices. One session at a time; what it says and shows is in
   `session`, which is dropped as a whole. */

const CHOICE = "#live-avatar select";
const DRIFTS = 50; // pictures of which the drift is told
const TALLEST = 720; // pixels of the video

const find = (name) => element.querySelector(`[data-live="${name}"]`);
const button = (name) => element.querySelector(`button[data-do="${name}"]`);
const named = ["video", "state", "problem", "refused", "text"].map((name) => [name, find(name)]);
const parts = { ...Object.fromEntries(named), box: element.querySelector(".mt-live") };
const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.` : "");
const shownMs = (value) => (value === null || value === undefined ? "\u2013" : `${Math.round(value)} ms`);
const figure = (name, value) => {
  const text = shownMs(value);
  if (find(name).textContent !== text) find(name).textContent = text;
};
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const Player = LivePlayer.Source ? LivePlayer : HlsPlayer.plays(parts.video) ? HlsPlayer : null;
let session = null; // the present one
let voice = null; // what speaks: a FileVoice or a Microphone
let muted = false;

const say = (state, text) => {
  parts.box.dataset.state = state;
  if (parts.state.textContent !== text) parts.state.textContent = text;
};
const show = (part, text) => {
  part.textContent = text;
  part.hidden = !text;
};
const complain = (text) => show(parts.problem, text);
const refuse = (text) => show(parts.refused, text); // a text; the session goes on
const inWords = ({ problem, remedy }) => [problem, remedy].map(sentence).filter(Boolean).join(" ");
const paint = () => {
  const open = session !== null;
  button("start").disabled = open || !Player || !document.querySelector(CHOICE)?.value;
  button("interrupt").disabled = !session?.ready;
  button("stop").disabled = !open;
  button("microphone").setAttribute("aria-pressed", voice instanceof Microphone);
  button("mute").setAttribute("aria-pressed", muted);
  const unable = !open && button("start").disabled;
  for (const name of ["microphone", "say"]) button(name).disabled = unable;
  find("file").disabled = unable;
  find("file").closest("label").toggleAttribute("data-off", unable);
};
const hush = () => {
  voice?.stop();
  voice = null;
  speaking.pause();
  paint();
};

/* What a voice says goes into the session, once that is ready; a voice that came earlier is not kept. */
const speaking = {
  say: (pcm, voiced) => {
    if (!session?.ready) return;
    if (!session.utterance) session.unspoken.push((session.utterance = { sent: 0, at: null, offset: 0, time: null }));
    const { utterance } = session;
    if (voiced && utterance.at === null) Object.assign(utterance, { at: performance.now(), offset: utterance.sent / RATE });
    utterance.sent += pcm.length;
    session.socket.send(pcm);
  },
  pause: () => {
    if (!session?.utterance) return;
    session.utterance = null;
    session.tell({ type: "flush" });
  },
  done: () => {
    voice = null;
    paint();
  },
  failed: (why) => {
    hush();
    complain(sentence(why));
  },
};

class Session {
  constructor(avatar) {
    Object.assign(this, { ready: false, utterance: null, unspoken: [], watched: null, reads: false, drifts: [], fps: 25 });
    this.opened = new Promise((resolve) => (this.open = resolve)); // whether it came to that
    const address = new URL("live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.player = new Player(parts.video, {
      shown: (...how) => this.shown(...how),
      failed: (why) => this.end(sentence(why)),
      refused: (error) => this.refused(error),
    });
    this.player.mute(muted);
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.tell({ type: "start", avatar, rate: RATE, max_height: TALLEST, ...Player.wish });
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.told(JSON.parse(data)) : this.player.append(data));
    this.socket.onclose = ({ reason }) => this.end(sentence(reason) || "The connection was lost.");
    say("connecting", "Connecting");
  }

  tell(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  told(message) {
    if (message.type === "waiting") say("waiting", `Waiting, as number ${message.before + 1}`);
    if (message.type === "video") {
      this.fps = message.fps.split("/").reduce((over, under) => over / under);
      this.ready = true;
      this.player.expect(message);
      say("listening", "Listening");
      this.open(true);
      paint();
    }
    if (message.type === "speaking") {
      say("speaking", "Speaking");
      this.speaks = true;
      const utterance = this.unspoken.shift();
      if (utterance) this.watched = Object.assign(utterance, { time: message.time });
    }
    if (message.type === "spoken") {
      this.rest();
      if (this.interrupted) this.player.hushUntil(message.time);
      this.interrupted = false;
    }
    if (message.type === "interrupted") this.unspoken = [];
    if (message.type === "refused") {
      const place = this.unspoken.findIndex((each) => each.text);
      if (place >= 0) this.unspoken.splice(place, 1);
      refuse(inWords(message));
    }
    if (message.type === "metrics") figure("first", message.first_frame_ms.p50 ?? message.first_frame_cold_ms);
    if (message.type === "ending") refuse(`This server is about to be restarted: the session ends in ${message.seconds} s.`);
    if (message.type === "error") this.end(inWords(message));
  }

  rest() {
    this.speaks = false;
    say("listening", "Listening");
  }

  /* Let a text be read, after what was said before. */
  read(text) {
    this.reads = true;
    this.unspoken.push({ text, at: performance.now(), offset: 0, time: null });
    this.tell({ type: "say", text });
  }

  interrupt() {
    this.tell({ type: "interrupt" });
    this.reads = false;
    this.utterance = this.watched = null;
    if (!this.speaks) return;
    this.interrupted = true;
    this.player.hushUntil(Infinity); // until it is told where the voice ends
  }

  /* A picture is shown. */
  shown(now, { mediaTime, expectedDisplayTime }) {
    const half = 0.5 / this.fps;
    const { watched } = this;
    if (watched?.at && mediaTime + this.player.origin + half >= watched.time + watched.offset) {
      figure("latency", expectedDisplayTime - watched.at);
      this.watched = null;
    }
    // A picture is told as it comes; what is heard at that moment should be what it begins with.
    const heard = parts.video.currentTime + (parts.video.playbackRate * (expectedDisplayTime - performance.now())) / 1000;
    this.drifts = [...this.drifts.slice(1 - DRIFTS), 1000 * (heard - mediaTime)];
    if (!this.toldAt || now - this.toldAt > 500) {
      this.toldAt = now;
      figure("drift", median(this.drifts));
      figure("behind", 1000 * this.player.behind);
    }
  }

  /* The browser does not play by itself. */
  refused(error) {
    if (error.name !== "NotAllowedError") return;
    parts.video.controls = true;
    complain("This browser plays only what is asked for: press play on the picture.");
    parts.video.addEventListener("playing", () => ((parts.video.controls = false), complain("")), { once: true });
  }

  end(why, wanted = false) {
    if (session !== this) return;
    session = null;
    this.tell({ type: "stop" });
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.player.close();
    this.open(false);
    hush();
    say("ended", wanted ? why : `Ended: ${why}`);
  }
}

/* Begin a session where there is none; says whether one is ready. */
const ready = async () => {
  if (!session) {
    complain("");
    for (const name of ["latency", "first", "drift", "behind"]) figure(name, null);
    session = new Session(document.querySelector(CHOICE).value);
    paint();
  }
  return session.opened;
};
const interrupt = () => {
  if (!session?.ready) return;
  if (voice instanceof Microphone) voice.drop();
  else hush();
  session.interrupt();
};
/* Make room for another voice: sentences that are still to be read would come in its midst. */
const begin = () => {
  hush();
  complain("");
  refuse("");
};
const beginAlone = () => {
  begin();
  if (session?.reads) session.interrupt();
};
const sayText = async () => {
  const text = parts.text.value.trim();
  if (!text || button("say").disabled) return;
  begin();
  parts.text.select(); // the next one takes its place, and one that was refused is not lost
  if (await ready()) session?.read(text);
};
const speakFile = async (file) => {
  beginAlone();
  const opened = ready();
  let samples = null;
  try {
    samples = await FileVoice.read(file);
  } catch {
    return complain(`This browser cannot read the sound of \u201c${file.name}\u201d: try WAV or MP3.`);
  }
  if (!(await opened)) return;
  beginAlone();
  voice = new FileVoice(samples, speaking);
  paint();
};
const speakNow = async () => {
  if (voice instanceof Microphone) return hush();
  beginAlone();
  if (!navigator.mediaDevices) return complain("Browsers give a microphone to pages of https or of this machine alone: open this page so.");
  const opened = ready();
  const microphone = (voice = new Microphone(speaking));
  paint();
  try {
    await microphone.start();
  } catch (error) {
    if (voice === microphone) hush();
    const denied = error.name === "NotAllowedError";
    return complain(denied ? "This browser was not allowed to use the microphone: allow it in the settings of this page." : `The microphone cannot be used: ${error.message}`);
  }
  if (!(await opened) && voice === microphone) hush();
};
const doing = {
  start: ready,
  stop: () => session?.end("Stopped.", true),
  interrupt,
  microphone: speakNow,
  mute: () => {
    muted = !muted;
    session?.player.mute(muted);
    paint();
  },
};

element.addEventListener("click", (event) => doing[event.target.closest("button[data-do]")?.dataset.do]?.());
find("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (file) speakFile(file);
});
parts.text.form.addEventListener("submit", (event) => {
  event.preventDefault();
  sayText();
});
parts.text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sayText();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && element.checkVisibility()) interrupt();
});
// Who leaves, or goes back and comes again to a page that was kept, has left the session.
addEventListener("pagehide", () => doing.stop());
document.addEventListener("change", (event) => event.target.matches?.(CHOICE) && paint());
new MutationObserver(paint).observe(document.querySelector("#live-avatar"), { childList: true, subtree: true });
if (!Player) say("ended", "This browser cannot play live video: it has neither MediaSource nor HLS. Use a newer one.");
paint();
