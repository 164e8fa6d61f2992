// What pages add to plain HTML: keys, refresh, dark or light. Everything works without it.
"use strict";

const find = document.getElementById("find");
const help = document.getElementById("help");
const pace = document.getElementById("pace");
const root = document.documentElement;
const editing = (element) => element && element.closest("input, select, textarea, [contenteditable]");

function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* private windows keep nothing */ }
}

function kept(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

// Dark or light: the system's choice until somebody makes another.
function dress(theme) {
  if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
}
dress(kept("theme"));
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  dress(dark ? "light" : "dark");
  keep("theme", root.dataset.theme);
});

// Refresh: only what is looked at, and never under somebody's hands.
if (kept("pace") !== null) pace.value = kept("pace");
pace.addEventListener("change", () => { keep("pace", pace.value); refreshed = Date.now(); });
let refreshed = Date.now();
setInterval(() => {
  const live = document.getElementById("live");
  const seconds = Number(pace.value);
  const busy = help.open || live?.contains(editing(document.activeElement))
    || live?.querySelector("details[open]") || !getSelection().isCollapsed;
  if (!live || !seconds || document.hidden || busy) return;
  if (Date.now() - refreshed < seconds * 1000) return;
  refreshed = Date.now();
  live.dispatchEvent(new CustomEvent("refresh"));
}, 1000);

// Keys.
document.getElementById("keys").addEventListener("click", () => help.showModal());
let going = 0;

function step(by) {
  const rows = [...document.querySelectorAll("table.rows a.open")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)].focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && document.activeElement === find) { find.blur(); return; }
  if (editing(event.target) || help.open) return;
  if (Date.now() - going < 1500) {
    going = 0;
    const link = document.querySelector(`nav.side a[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); return; }
  }
  const acts = {
    "/": () => find.select() ?? find.focus(),
    "?": () => help.showModal(),
    j: () => step(1),
    k: () => step(-1),
    g: () => { going = Date.now(); },
  };
  if (Object.hasOwn(acts, event.key)) { event.preventDefault(); acts[event.key](); }
});
