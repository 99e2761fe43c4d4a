/* One frame of two results, taken from their files by the browser itself. The body of a function of `element` (the
   component) and `watch`; what is shown comes as JSON in data-pair: {fps, frames, sides: [{name, label, address, size,
   others: [[start, stop, painter]]}]}. A side's frames are drawn from a video that nobody sees, and the last ones are
   kept, with those around, so that most steps wait for nothing. Both canvases change together, or not at all. */

const KEPT_BYTES = 96 * 2 ** 20; // of pictures, for each side
const WHOLE_BYTES = 128 * 2 ** 20; // a file up to this size is fetched whole, so that no seek waits for a network
const AHEAD = [1, 2, 3, -1, 4, -2]; // in steps of the last direction
const MOST_ZOOM = 12;
const LATE_MS = 5000; // after a seek, until a frame that is not told to be presented is taken for presented

class Clip {
  constructor(side, fps, frames) {
    Object.assign(this, { side, fps, frames, kept: new Map(), turn: Promise.resolve(), gone: false });
    this.video = Object.assign(document.createElement("video"), { preload: "auto", playsInline: true });
    this.ready = this.load();
  }

  async load() {
    let address = this.side.address;
    if (this.side.size <= WHOLE_BYTES) {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error("the file is gone");
      address = this.local = URL.createObjectURL(await answer.blob());
    }
    const { video } = this;
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", () => reject(new Error("this browser cannot play it")), { once: true });
      video.src = address;
    });
    this.most = Math.min(64, Math.max(8, Math.floor(KEPT_BYTES / (4 * video.videoWidth * video.videoHeight))));
  }

  /* A frame as a bitmap. One seek at a time; what was asked for meanwhile and is wanted no more is skipped. */
  async frame(number, wanted = () => true) {
    await this.ready;
    const had = this.kept.get(number);
    if (had) return had;
    const work = this.turn.then(() => (this.gone || !wanted() ? null : this.kept.get(number) ?? this.take(number)));
    this.turn = work.catch(() => null);
    return work;
  }

  /* Which frame is presented, of what the browser tells of it. */
  told(facts) {
    this.presented = Math.round(facts.mediaTime * this.fps);
    return this.presented;
  }

  /* A seek is over before its frame is there to be drawn: what is presented says which frame that is. */
  async take(number) {
    const { video } = this;
    if (this.presented !== number) await new Promise((resolve, reject) => {
      const failed = () => reject(new Error("this browser cannot play it"));
      const tell = (_now, facts) => {
        if (this.told(facts) !== number) asked = video.requestVideoFrameCallback(tell);
        else done();
      };
      const seeked = () => (late = setTimeout(done, LATE_MS));
      const done = () => {
        video.cancelVideoFrameCallback(asked);
        clearTimeout(late);
        video.removeEventListener("seeked", seeked);
        video.removeEventListener("error", failed);
        resolve();
      };
      let late = 0;
      let asked = video.requestVideoFrameCallback(tell);
      video.addEventListener("seeked", seeked, { once: true });
      video.addEventListener("error", failed, { once: true });
      video.currentTime = (number + 0.5) / this.fps; // the middle of a frame is surely its own
    });
    const picture = await createImageBitmap(video);
    this.kept.set(number, picture);
    while (this.kept.size > this.most) this.drop(this.kept.keys().next().value);
    return picture;
  }

  drop(number) {
    this.kept.get(number)?.close();
    this.kept.delete(number);
  }

  end() {
    this.gone = true;
    this.video.pause();
    this.video.removeAttribute("src");
    for (const number of [...this.kept.keys()]) this.drop(number);
    if (this.local) URL.revokeObjectURL(this.local);
  }
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const look = { zoom: 1, x: 0.5, y: 0.5, layout: "divided", cut: 50 }; // outlives frames, sides and comparisons
let stop = () => {};
let shownData = null;

const start = (root) => {
  const data = JSON.parse(root.dataset.pair);
  const { fps, frames } = data;
  const find = (selector) => root.querySelector(selector);
  const canvases = { left: find("[data-view=left] canvas"), right: find("[data-view=right] canvas") };
  const selects = { left: find("select[data-side=left]"), right: find("select[data-side=right]") };
  const slider = find("[data-frame-slider]");
  const clips = new Map();
  let wanted = Number(slider.value);
  let shown = -1;
  let direction = 1;
  let showing = false;
  let asked = 0;
  let play = null;
  let over = false;

  const side = (name) => data.sides.find((each) => each.name === name);
  const clip = (which) => {
    const name = selects[which].value;
    if (!clips.has(name)) clips.set(name, new Clip(side(name), fps, frames));
    return clips.get(name);
  };
  const painter = (each, number) => {
    const others = each.others.filter(([from, to]) => from <= number && number < to).map((other) => other[2]);
    return others.length ? `${each.name} (by ${[...new Set(others)].join(" and ")})` : each.label;
  };
  const say = (problem) => {
    find(".mt-error").textContent = problem;
    find(".mt-error").hidden = !problem;
  };

  const sides = () => [selects.left.value, selects.right.value];
  const draw = (number, [left, right], pictures) => {
    for (const [which, picture] of Object.entries(pictures)) {
      const canvas = canvases[which];
      const [width, height] = [picture.videoWidth ?? picture.width, picture.videoHeight ?? picture.height];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      canvas.getContext("2d").drawImage(picture, 0, 0);
      root.style.setProperty("--mt-aspect", (width / height).toFixed(5));
    }
    shown = number;
    const names = [left, right].map((name) => painter(side(name), number));
    find("#pair-caption p").textContent = `Frame ${number}: ${names.join(" | ")}`;
    find("[data-moment]").textContent = `${(number / fps).toFixed(2)} s of ${(frames / fps).toFixed(2)} s`;
    for (const [place, which] of ["left", "right"].entries()) {
      find(`[data-name=${which}]`).textContent = names[place];
      canvases[which].ariaLabel = `${names[place]}, frame ${number}`;
    }
    root.dataset.shown = `${number} ${left} ${right}`;
  };

  /* Show what is wanted; whatever is wanted while that takes its time comes next, and what lies between is left out. */
  const show = async () => {
    asked += 1;
    if (showing || over) return;
    showing = true;
    try {
      let answered = 0;
      while (answered !== asked && !over && !play) {
        answered = asked;
        const [number, names] = [wanted, sides()];
        const [left, right] = await Promise.all([clip("left").frame(number), clip("right").frame(number)]);
        if (over || play) return;
        if (left && right) draw(number, names, { left, right });
        say("");
      }
    } catch (error) {
      say(`These results cannot be shown: ${error.message}. They can be downloaded below.`);
    } finally {
      showing = false;
    }
    ahead(asked);
  };
  /* What will be asked for next, most likely: fetched while nothing is asked for. */
  const ahead = async (then) => {
    const current = () => !over && !play && then === asked;
    for (const step of AHEAD) {
      const number = wanted + step * direction;
      if (!current()) return;
      if (number < 0 || number >= frames) continue;
      for (const which of ["left", "right"]) await clip(which).frame(number, current).catch(() => null);
    }
  };
  const go = (number) => {
    pause();
    const next = clamp(Math.round(number), 0, frames - 1);
    direction = Math.sign(next - wanted) || direction;
    wanted = next;
    slider.value = next;
    slider.ariaValueText = `frame ${next} of ${frames}`;
    return show();
  };

  /* Playing draws no frame but when both sides have come to the same one; who runs ahead is set back. */
  const pause = () => {
    if (!play) return;
    play.over = true;
    for (const each of play.clips) each.video.pause();
    wanted = clamp(shown, 0, frames - 1);
    slider.value = wanted;
    play = null;
    find("[data-do=play]").textContent = "Play both";
  };
  const begin = async () => {
    const mine = { clips: [clip("left"), clip("right")], over: false };
    play = mine; // at once: a second press ends it, whatever is waited for
    find("[data-do=play]").textContent = "Pause";
    const from = wanted >= frames - 1 ? 0 : wanted;
    const at = {};
    const meet = () => {
      if (mine.over) return;
      if (at.left === at.right && at.left !== shown) {
        draw(at.left, sides(), { left: mine.clips[0].video, right: mine.clips[1].video });
        slider.value = wanted = shown;
      } else if (Math.abs(at.left - at.right) > 2) {
        const [fast, slow] = at.left > at.right ? mine.clips : [mine.clips[1], mine.clips[0]];
        fast.video.currentTime = slow.video.currentTime;
      }
    };
    const follow = (which, each) => {
      const { video } = each;
      const tell = (_now, facts) => {
        if (mine.over) return;
        at[which] = clamp(each.told(facts), 0, frames - 1);
        requestAnimationFrame(meet); // when both have told what they show
        video.requestVideoFrameCallback(tell);
      };
      video.requestVideoFrameCallback(tell);
      video.muted = which === "right"; // both speak the same voice
      video.currentTime = (from + 0.5) / fps;
      video.addEventListener("ended", () => !mine.over && (pause(), go(frames - 1)), { once: true });
      return video.play();
    };
    try {
      await Promise.all(mine.clips.map((each) => each.ready.then(() => each.turn)));
      if (over || mine.over) return;
      await Promise.all([follow("left", mine.clips[0]), follow("right", mine.clips[1])]);
    } catch (error) {
      if (mine.over) return;
      pause();
      say(`This browser does not play them: ${error.message}`);
    }
  };

  const dress = () => {
    const half = 0.5 / look.zoom;
    look.x = clamp(look.x, half, 1 - half);
    look.y = clamp(look.y, half, 1 - half);
    const shift = (middle) => `${((0.5 - middle * look.zoom) * 100).toFixed(3)}%`;
    root.style.setProperty("--mt-zoom", `translate(${shift(look.x)}, ${shift(look.y)}) scale(${look.zoom.toFixed(4)})`);
    root.style.setProperty("--mt-cut", look.cut / 100);
    root.dataset.layout = look.layout;
    root.dataset.zoomed = look.zoom > 1;
    find("[data-zoom]").textContent = `${Math.round(look.zoom * 100)}%`;
    find("[data-do=out]").disabled = find("[data-do=fit]").disabled = look.zoom <= 1;
    find("[data-do=in]").disabled = look.zoom >= MOST_ZOOM;
    find("[data-divider]").value = look.cut;
    for (const each of root.querySelectorAll("[data-layout-of]"))
      each.ariaPressed = String(each.dataset.layoutOf === look.layout);
  };
  /* Zoom so that what is under a point of a view stays there; the point in shares of the view. */
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const next = clamp(look.zoom * factor, 1, MOST_ZOOM);
    const change = 1 / look.zoom - 1 / next;
    look.x += (x - 0.5) * change;
    look.y += (y - 0.5) * change;
    look.zoom = next;
    dress();
  };
  const place = (event) => {
    const boxes = [...root.querySelectorAll("[data-view]")].map((view) => view.getBoundingClientRect());
    const inside = ({ left, right, top, bottom }) =>
      left <= event.clientX && event.clientX <= right && top <= event.clientY && event.clientY <= bottom;
    const box = boxes.find(inside) ?? boxes[0];
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, box];
  };

  const actions = {
    back: () => go(wanted - 1),
    next: () => go(wanted + 1),
    play: () => (play ? (pause(), show()) : begin()),
    in: () => zoom(1.5),
    out: () => zoom(1 / 1.5),
    fit: () => zoom(0),
  };
  const views = find(".mt-pair-views");
  const events = new AbortController();
  const on = (target, name, handler, options = {}) =>
    target.addEventListener(name, handler, { signal: events.signal, ...options });
  on(root, "click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.do) actions[button.dataset.do]();
    if (button?.dataset.layoutOf) {
      look.layout = button.dataset.layoutOf;
      dress();
    }
  });
  on(slider, "input", () => go(Number(slider.value)));
  on(find("[data-divider]"), "input", (event) => {
    look.cut = Number(event.target.value);
    dress();
  });
  for (const [which, other] of [["left", "right"], ["right", "left"]]) {
    on(selects[which], "change", () => {
      pause();
      // both sides the same: the other one moves on
      if (selects[other].value === selects[which].value)
        selects[other].value = data.sides.find((each) => each.name !== selects[which].value).name;
      show();
    });
  }
  const KEYS = {
    ArrowLeft: actions.back, ArrowRight: actions.next, Home: () => go(0), End: () => go(frames - 1),
    "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.fit, " ": actions.play,
  };
  const PANS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  on(views, "keydown", (event) => {
    if (event.target !== views || event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = event.shiftKey || event.key === "ArrowUp" || event.key === "ArrowDown" ? PANS[event.key] : null;
    if (pan && look.zoom > 1) {
      look.x += (0.1 * pan[0]) / look.zoom;
      look.y += (0.1 * pan[1]) / look.zoom;
      dress();
    } else if (KEYS[event.key] && !pan) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  on(views, "wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // else the page scrolls
    event.preventDefault();
    const [x, y] = place(event);
    zoom(Math.exp(-event.deltaY / 300), x, y);
  }, { passive: false });
  on(views, "dblclick", (event) => {
    const [x, y] = place(event);
    zoom(look.zoom > 1 ? 0 : 4, x, y);
  });
  const fingers = new Map();
  on(views, "pointerdown", (event) => {
    if (event.target.matches("input")) return;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (look.zoom > 1 || fingers.size > 1) views.setPointerCapture(event.pointerId);
  });
  on(views, "pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [x, y, box] = place(event);
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      if (apart(before) > 0) zoom(apart(now) / apart(before), x, y);
    } else if (look.zoom > 1) {
      look.x -= (now[0] - before[0]) / box.width / look.zoom;
      look.y -= (now[1] - before[1]) / box.height / look.zoom;
      dress();
    }
    fingers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) on(views, name, (event) => fingers.delete(event.pointerId));

  dress();
  show();
  return () => {
    over = true;
    pause();
    events.abort();
    for (const each of clips.values()) each.end();
  };
};

const renew = () => {
  const root = element.querySelector(".mt-pair");
  const data = root?.dataset.pair ?? null;
  if (data === shownData && (!root || root.dataset.shown)) return;
  stop();
  stop = () => {};
  if (shownData && data) Object.assign(look, { zoom: 1, x: 0.5, y: 0.5 }); // another comparison
  shownData = data;
  if (root) stop = start(root);
};
watch("value", renew);
renew();
