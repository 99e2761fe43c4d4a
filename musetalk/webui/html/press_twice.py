"""The page's way to ask before something is deleted: the same button wants a second press."""

from __future__ import annotations

# `meant(key)` says whether a press is the second one on what has that key: not within 0.3 s of the first, which would
# be a double click, and not after 3 s. `arm("")` takes the first one back. Whoever includes it shows in its `paint()`
# what is `armed`, also after each update, so that progress elsewhere cannot take it back.
PRESS_TWICE_JS = """
let armed = "", since = 0, timer = 0;
const arm = (key) => {
  clearTimeout(timer);
  armed = key;
  since = performance.now();
  if (key) timer = setTimeout(() => arm(""), 3000);
  paint();
};
const meant = (key) => {
  if (armed !== key) arm(key);
  else if (performance.now() - since >= 300) {
    arm("");
    return true;
  }
  return false;
};
"""
