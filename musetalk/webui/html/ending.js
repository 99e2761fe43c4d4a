/* Tells, where nobody looks at the page, how far the watched job is and how it ended: in the title, in the icon, and by a
   notification where that is wanted. Brings into view how far it is as it begins, and the result. The body of a function
   of `element`, which holds the choice of a notification. */

const PANELS = { status: ["#result", "#report"], "compare-status": ["#pair", "#side-by-side", "#comparison"] };
const ACTIVE = ["queued", "running"];
const ENDED = { done: "Done", failed: "Failed", cancelled: "Stopped" };
const COLOURS = { running: "#2a5fa5", queued: "#878c97", done: "#1c7045", failed: "#a3302a", cancelled: "#878c97" };
const WANTED = "musetalk-notify";
const name = document.title;
const before = {};
let ended = null;
let icon = null;

const draw = (state, share) => {
  const round = 2 * Math.PI * 12;
  const ring = `<circle cx="16" cy="16" r="12" fill="none" stroke="#b9bec8" stroke-width="6"/>`;
  const part = `<circle cx="16" cy="16" r="12" fill="none" stroke="${COLOURS[state]}" stroke-width="6" transform="rotate(-90 16 16)" stroke-dasharray="${share * round} ${round}"/>`;
  const dot = `<circle cx="16" cy="16" r="14" fill="${COLOURS[state]}"/>`;
  const inside = ACTIVE.includes(state) ? ring + part : dot;
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${inside}</svg>`)}`;
};
const setIcon = (address) => {
  if (icon === address) return;
  icon = address;
  document.querySelectorAll("link[rel~=icon]").forEach((link) => link.remove());
  document.head.append(Object.assign(document.createElement("link"), { rel: "icon", href: address }));
};
const usual = document.querySelector("link[rel~=icon]")?.href ?? draw("running", 1);

const typing = () =>
  document.activeElement?.matches("input:not([type=radio]):not([type=checkbox]), textarea, select");
const laidOut = (each) => {
  const video = each?.querySelector("video");
  return each?.checkVisibility() && each.getBoundingClientRect().height > 40 && (!video || video.readyState > 0);
};
const show = async (panel, id) => {
  if (typing() || !panel.checkVisibility()) return;
  for (let left = 40; left > 0; left -= 1) {
    // The result comes first; what stands below it is shown where the result takes long to load.
    const wanted = PANELS[id].map((selector) => document.querySelector(selector));
    const found = (left > 10 ? wanted.slice(0, 1) : wanted).find(laidOut);
    if (found) {
      const box = found.getBoundingClientRect();
      if (box.top < 0 || box.bottom > innerHeight) found.scrollIntoView({ block: box.height > innerHeight ? "start" : "center" });
      return;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
};
const notify = (word, title) => {
  if (localStorage.getItem(WANTED) !== "yes" || (!document.hidden && document.hasFocus())) return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const told = new Notification(`${word}: ${title}`, { body: name, tag: "musetalk" });
  told.addEventListener("click", () => (window.focus(), told.close()));
};

const look = () => {
  let active = null;
  for (const id of Object.keys(PANELS)) {
    const panel = document.querySelector(`#${id} .mt-status`);
    if (!panel) continue;
    const { state, job } = panel.dataset;
    const last = before[id];
    before[id] = { state, job };
    if (ACTIVE.includes(state)) active ??= panel;
    const begun = ACTIVE.includes(state) && last && last.job !== job;
    const asked = navigator.userActivation?.hasBeenActive; // else the address alone names the job
    if (begun && asked && !typing() && panel.checkVisibility()) panel.scrollIntoView({ block: "nearest" });
    if (last?.job !== job || !ACTIVE.includes(last.state) || !(state in ENDED)) continue;
    ended = state;
    notify(ENDED[state], panel.querySelector(".mt-status-title").textContent);
    if (state === "done") show(panel, id);
  }
  if (active) {
    ended = null;
    const bar = active.querySelector(".mt-whole:not([hidden]) [aria-valuenow]");
    const share = bar ? Number(bar.getAttribute("aria-valuenow")) : null;
    const waiting = active.dataset.state === "queued";
    document.title = `${waiting ? "Waiting" : share === null ? "Rendering" : `${share}%`} \u00b7 ${name}`;
    setIcon(draw(active.dataset.state, (share ?? 0) / 100));
  } else {
    document.title = ended ? `${ENDED[ended]} \u00b7 ${name}` : name;
    setIcon(ended ? draw(ended, 1) : usual);
  }
  element.querySelector(".mt-ending").hidden = !active || !("Notification" in window);
};
let due = 0;
const soon = () => (due ||= setTimeout(() => ((due = 0), look()), 100)); // frames are not drawn where nobody looks
new MutationObserver(soon).observe(document.body, {
  subtree: true,
  childList: true,
  attributes: true,
  attributeFilter: ["data-state", "data-job", "aria-valuenow"],
});
// Whoever comes back has seen how it ended.
for (const seen of ["pointerdown", "keydown"]) addEventListener(seen, () => ended && ((ended = null), soon()));

const box = element.querySelector("input");
box.checked = localStorage.getItem(WANTED) === "yes" && window.Notification?.permission === "granted";
box.addEventListener("change", async () => {
  const allowed = box.checked && (await Notification.requestPermission()) === "granted";
  element.querySelector(".mt-ending-refused").hidden = !box.checked || allowed;
  box.checked = allowed;
  localStorage.setItem(WANTED, allowed ? "yes" : "no");
});
look();
