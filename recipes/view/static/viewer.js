// Keys of the viewer. Every page works without this file: it only saves the hand from the mouse.
"use strict";

const meta = (name) => document.querySelector(`meta[name=${name}]`).content;
const rows = () => [...document.querySelectorAll("[data-row]")];

// Decisions of this tab, the newest last: run, prompt, event. They outlive a page, and so does what u takes back.
const undoable = () => JSON.parse(sessionStorage.getItem("undoable") || "[]");
const keepUndoable = (decided) => sessionStorage.setItem("undoable", JSON.stringify(decided.slice(-1000)));
const decidedNow = (run, id, event) => keepUndoable([...undoable(), [run, id, event]]);
const undoneNow = (event) => keepUndoable(undoable().filter(([, , one]) => one !== event));

// Who decides: asked once a browser, else who started the viewer.
const author = document.querySelector("#author");
author.value = localStorage.getItem("author") || author.value;
author.addEventListener("change", () => localStorage.setItem("author", author.value.trim()));
document.addEventListener("submit", (event) => {
  if (event.target.matches("form.decide")) {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "author", value: author.value });
    event.target.append(field);
  }
});

function toast(words, bad) {
  document.querySelector(".toast")?.remove();
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  box.setAttribute("role", "status");
  box.textContent = words; // never as markup
  document.body.append(box);
  setTimeout(() => box.remove(), 4000);
}

function current() {
  return document.activeElement?.closest("[data-row]") ?? null;
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(current());
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

// What is in force of a row's prompt now, as the table shows it.
function showLeft(row, told) {
  const cell = row.querySelector("td.decision");
  if (!cell) return;
  cell.className = `decision ${told.decision}`;
  cell.textContent = told.decision;
  const part = (words, name) => Object.assign(document.createElement("span"), { textContent: words, className: name });
  const short = told.reference.length > 60 ? `${told.reference.slice(0, 57)}...` : told.reference;
  const marked = told.is_corrected ? [" ", part("corrected", "count")] : [];
  row.querySelector("td.reference").replaceChildren(part(short, ""), ...marked);
}

async function decide(target, action, value) {
  const fields = { csrf: meta("csrf"), run: target.dataset.run, id: target.dataset.id, action, author: author.value };
  if (value !== undefined) fields.value = value;
  const reply = await fetch("/decide", {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(fields),
  }).catch(() => null);
  if (!reply) return toast("the viewer does not answer", true);
  const told = await reply.json().catch(() => ({ error: `${reply.status}` }));
  // What was refused would be refused again, and hold up what is below it; what failed can be had once more.
  if (action === "undo" && reply.status < 500) undoneNow(value);
  if (!reply.ok) return toast(told.error, true);
  if (action !== "undo") decidedNow(target.dataset.run, target.dataset.id, told.event_id);
  showLeft(target, told);
  toast((told.warning ? `! ${told.warning}: ` : "") + (action === "undo" ? `undone${target.isConnected ? "" : `: ${target.dataset.id}`}` : `${action}: done (u undoes it)`), told.warning);
  if (target.hasAttribute("data-prompt")) setTimeout(() => location.reload(), 300);
  else if (action === "accept" || action === "reject") move(1);
}

function field(action) {
  const input = document.querySelector(`form[data-action=${action}] :is(input, textarea)[name=value]`);
  if (input) {
    input.focus();
    input.select();
  }
  return Boolean(input);
}

function follow(selector) {
  const link = document.querySelector(selector);
  if (link) location.assign(link.href);
}

function undoLast() {
  const last = undoable().at(-1);
  if (last) {
    const [run, id, event] = last;
    const shown = [...document.querySelectorAll("[data-id]")].find((one) => one.dataset.run === run && one.dataset.id === id);
    const target = shown ?? document.createElement("div");
    Object.assign(target.dataset, { run, id });
    return decide(target, "undo", event);
  }
  const form = document.querySelector("form[data-action=undo]");
  if (form) form.requestSubmit();
}

// One after the other, however fast the key comes.
let undoing = Promise.resolve();
const undo = () => (undoing = undoing.then(undoLast));

const page = document.querySelector("[data-prompt]");

// A form leads back to its page with the event that it wrote, or that is undone.
const address = new URL(location.href);
for (const [name, told] of [["done", (event) => decidedNow(page.dataset.run, page.dataset.id, event)], ["undone", undoneNow]]) {
  if (!page || !address.searchParams.has(name)) continue;
  told(address.searchParams.get(name));
  address.searchParams.delete(name);
  history.replaceState(null, "", address);
}

const keys = {
  j: () => (page ? follow("a[rel=next]") : move(1)),
  k: () => (page ? follow("a[rel=prev]") : move(-1)),
  n: () => follow("a[rel=next]"),
  p: () => follow("a[rel=prev]"),
  b: () => follow("#back"),
  u: undo,
  "/": () => document.querySelector("#search")?.focus(),
  Enter: () => current()?.querySelector("a")?.click(),
};
for (const [key, action] of [["a", "accept"], ["r", "reject"]]) {
  keys[key] = () => {
    const target = page ?? current();
    if (target) decide(target, action);
  };
}
for (const [key, action] of [["t", "tag"], ["c", "correct"]]) {
  keys[key] = () => {
    if (field(action)) return;
    const target = current();
    const value = target && prompt(action === "tag" ? "Tag" : "The right reference");
    if (value) decide(target, action, value);
  };
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    // As in a field of one line; with shift it begins the next line.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches("form.decide textarea")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
    return;
  }
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  const does = keys[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
});

// An answer that is pointed at or focused lights up its places on the pictures.
function light(event, on) {
  const card = event.target.closest?.(".answer, .pair")?.querySelector("[data-rollout].attempt");
  if (!card) return;
  for (const place of document.querySelectorAll("g.place[data-rollout]"))
    if (place.dataset.rollout === card.dataset.rollout) place.classList.toggle("lit", on);
}
for (const [name, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]])
  document.addEventListener(name, (event) => light(event, on));
