"use strict";
(() => {
  const table = document.querySelector("table.ledger");
  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  for (const element of document.querySelectorAll(".js")) element.hidden = false;

  const rows = table ? [...table.tBodies[0].rows] : [];
  const said = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  function filter() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const holds = words.every((word) => said.get(row).includes(word));
      row.hidden = !holds || (verdict.value !== "" && row.dataset.verdict !== verdict.value);
      if (!row.hidden) shown += 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  }

  function sort(header) {
    const place = header.cellIndex;
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[place].dataset.value ?? "";
    const isNumber = header.classList.contains("number");
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // what has no value comes last
      const order = isNumber ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
      return down ? -order : order;
    };
    table.tBodies[0].append(...[...rows].sort(compare));
  }

  if (table) {
    text.addEventListener("input", filter);
    verdict.addEventListener("change", filter);
    for (const button of table.querySelectorAll("button.sort")) {
      button.addEventListener("click", () => sort(button.closest("th")));
    }
    filter();
  }

  function open() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (const shown of document.querySelectorAll(".shown")) shown.classList.remove("shown");
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === "DETAILS") element.open = true;
    }
    target.classList.add("shown");
    target.scrollIntoView();
  }
  addEventListener("hashchange", open);
  open();
})();
