
"use strict";
(() => {
  const form = document.getElementById("filters");
  const shown = document.getElementById("shown");
  const table = document.getElementById("masklets");
  const cards = [...document.querySelectorAll("article[data-status]")];
  const rows = table ? [...table.tBodies[0].rows] : [];
  const lines = [...document.querySelectorAll("li[data-masklet]")];
  const values = new Map(rows.map((row) => [row, JSON.parse(row.dataset.values)]));

  const fits = (row, wanted) => {
    if (wanted.verdict && row.dataset.verdict !== wanted.verdict) return false;
    if (wanted.label && row.dataset.label !== wanted.label) return false;
    if (wanted.status && row.dataset.status !== wanted.status) return false;
    if (wanted.reason && !row.dataset.reasons.split(" ").includes(wanted.reason)) return false;
    if (wanted.column && wanted.value !== "") {
      const value = values.get(row)[wanted.column];
      if (value === undefined) return false;
      return wanted.bound === "above" ? value >= Number(wanted.value) : value <= Number(wanted.value);
    }
    return true;
  };

  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const byMasklet =
      wanted.verdict || wanted.label || wanted.reason || (wanted.column && wanted.value !== "");
    const kept = new Set();
    for (const row of rows) {
      row.hidden = !fits(row, wanted);
      if (!row.hidden) kept.add(row.dataset.masklet);
    }
    for (const line of lines) line.hidden = !kept.has(line.dataset.masklet);
    let numCards = 0;
    for (const card of cards) {
      const statusFits = !wanted.status || card.dataset.status === wanted.status;
      const hasMasklet = card.querySelector("li[data-masklet]:not([hidden])") !== null;
      card.hidden = !(statusFits && (hasMasklet || !byMasklet));
      numCards += card.hidden ? 0 : 1;
    }
    shown.textContent =
      `${numCards} of ${cards.length} videos, ${kept.size} of ${rows.length} masklets shown`;
    return wanted;
  };

  const remember = () => {
    const wanted = apply();
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(wanted)) {
      const isDefault = value === "" || (name === "bound" && !wanted.column);
      if (!isDefault) parts.set(name, value);
    }
    history.replaceState(null, "", `#${parts}`);
  };

  const recall = () => {
    const fragment = location.hash.slice(1);
    // A place of the page, which leaves the filters as they are.
    if (fragment && !fragment.includes("=")) {
      apply();
      return;
    }
    form.reset();
    for (const [name, value] of new URLSearchParams(fragment)) {
      const field = form.elements.namedItem(name);
      if (field) field.value = value;
    }
    apply();
  };

  const sortBy = (header) => {
    const place = header.cellIndex;
    const rising = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const key = (row) => row.cells[place].dataset.sort ?? row.cells[place].textContent.trim();
    const isNumber = header.classList.contains("n");
    const sign = rising ? 1 : -1;
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      // What has no value comes last, whichever way the others are sorted.
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * (isNumber ? Number(x) - Number(y) : x.localeCompare(y));
    });
    table.tBodies[0].append(...rows);
  };

  form.hidden = false;
  form.addEventListener("input", remember);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(remember));
  addEventListener("hashchange", recall);
  if (table) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(header));
    }
  }
  recall();
})();
