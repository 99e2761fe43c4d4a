// Runs once for each box; what is inside the element is replaced at each answer of the server, so listeners sit on it.
let request = null; // the upload under way
let busy = ""; // "sending", "looking": what the server has not answered yet
let speaking = false; // whether the recorder was asked for
let unplayable = ""; // the address for which a copy was asked
let file = ""; // which file is shown
let shown = ""; // how

const find = (selector) => element.querySelector(selector);
const amount = (bytes) => {
  for (const [unit, power] of [["GiB", 30], ["MiB", 20], ["KiB", 10]])
    if (bytes >= 2 ** power) return `${Number((bytes / 2 ** power).toPrecision(3))} ${unit}`;
  return `${bytes} bytes`;
};
const say = (text) => {
  const live = find("[data-live]");
  if (live.textContent !== text) live.textContent = text;
};
const complain = (text) => {
  const problem = find(".mt-problem");
  problem.hidden = !text;
  problem.textContent = text;
};
const paint = () => {
  const box = find(".mt-media");
  box.toggleAttribute("data-busy", busy !== "");
  box.toggleAttribute("data-speaking", speaking && box.dataset.state === "empty");
  find(".mt-media-sending").hidden = busy === "";
  find(".mt-media-body").hidden = busy !== "";
};
const progress = (name, figures, share) => {
  find(".mt-media-sending .mt-media-name").textContent = name;
  find(".mt-media-figures").textContent = figures;
  const bar = find(".mt-bar");
  const fill = find(".mt-bar-fill");
  fill.toggleAttribute("data-unknown", share === null);
  if (share === null) return bar.removeAttribute("aria-valuenow");
  fill.style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", Math.floor(100 * share));
};
const rest = (text) => {
  request = null;
  busy = "";
  paint();
  complain(text ?? "");
};
const look = (name) => {
  busy = "looking";
  progress(name, "Looking at it", null);
  say(`Looking at ${name}`);
  paint();
};

const send = (file) => {
  if (request) request.abort();
  complain("");
  if (file.size > props.max_bytes)
    return rest(`“${file.name}” has ${amount(file.size)}; up to ${amount(props.max_bytes)} are taken. Cut it shorter, or compress it more.`);
  const upload = new XMLHttpRequest();
  const form = new FormData();
  form.append("files", file, file.name);
  upload.upload.onprogress = ({ loaded, total }) => {
    if (request !== upload || busy !== "sending" || !total) return;
    const share = Math.min(loaded / total, 1);
    progress(file.name, `${Math.floor(100 * share)} % of ${amount(file.size)}`, share);
  };
  upload.onload = () => {
    if (request !== upload) return;
    request = null;
    if (upload.status === 200) {
      look(file.name);
      return trigger("upload", { path: JSON.parse(upload.responseText)[0] });
    }
    const large = upload.status === 413;
    rest(large ? `“${file.name}” is larger than what is taken here.` : `“${file.name}” did not arrive: the server answers ${upload.status}. Try again.`);
  };
  upload.onerror = () => {
    if (request === upload) rest(`“${file.name}” did not arrive: the server cannot be reached. Try again.`);
  };
  request = upload;
  busy = "sending";
  progress(file.name, `0 % of ${amount(file.size)}`, 0);
  say(`Uploading ${file.name}`);
  paint();
  upload.open("POST", "gradio_api/upload");
  upload.send(form);
};

element.addEventListener("change", (event) => {
  const [file] = event.target.files ?? [];
  event.target.value = ""; // so that the same file can be chosen again
  if (file) send(file);
});
element.addEventListener("click", (event) => {
  const { action } = event.target.closest("button[data-action]")?.dataset ?? {};
  if (action === "clear") trigger("clear", {});
  if (action === "cancel") {
    const upload = request;
    if (busy === "looking") trigger("upload", { path: "" }); // nothing is wanted of it any more
    rest();
    upload?.abort();
    say("The upload was cancelled");
    find("input[type=file]").focus();
  }
  if (action === "speak") {
    speaking = !speaking;
    paint();
  }
});
element.addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  find(".mt-media").setAttribute("data-over", "");
});
element.addEventListener("dragleave", (event) => {
  if (!element.contains(event.relatedTarget)) find(".mt-media").removeAttribute("data-over");
});
element.addEventListener("drop", (event) => {
  event.preventDefault();
  find(".mt-media").removeAttribute("data-over");
  const [file] = event.dataTransfer.files;
  if (file) send(file);
});

// What this browser cannot play or show: the server makes a copy of it that every browser can.
const ask = (media) => {
  if (!media.matches?.(".mt-media-shown") || media.hasAttribute("data-copy")) return;
  media.setAttribute("data-waiting", "");
  media.insertAdjacentHTML("afterend", '<p class="mt-media-note">This browser cannot show it. A copy that it can show is being made.</p>');
  const address = media.getAttribute("src");
  if (unplayable === address) return;
  unplayable = address;
  trigger("submit", {});
};
element.addEventListener("error", (event) => ask(event.target), true);
element.addEventListener("loadedmetadata", (event) => event.target.videoWidth === 0 && ask(event.target), true);

watch("value", () => {
  const box = find(".mt-media");
  if (box.hasAttribute("data-copied") && box.dataset.file !== file) {
    props.value = shown; // the copy of another file, which came too late
    return paint();
  }
  if (box.dataset.file !== file || box.hasAttribute("data-copied")) unplayable = ""; // it may come again
  file = box.dataset.file;
  shown = props.value;
  // An empty box answers an older wish, such as Remove, while a newer file is looked at; unless that one was refused.
  if (busy === "looking" && (box.dataset.state === "held" || box.hasAttribute("data-refused"))) busy = "";
  if (find(".mt-media").dataset.state === "held") speaking = false;
  say("");
  paint();
});
