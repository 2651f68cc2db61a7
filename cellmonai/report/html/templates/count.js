"use strict";
// The page is whole without this script: it only sorts, finds and copies.

function sortBy(table, column, descending) {
  const body = table.tBodies[0];
  const keyOf = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.n !== undefined ? cell.dataset.n : cell.textContent.trim();
    const value = parseFloat(text.replace(/,/g, ""));
    return cell.classList.contains("n") ? (Number.isNaN(value) ? null : value) : text;
  };
  const words = new Intl.Collator(undefined, { numeric: true });
  const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row) }));
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null); // unknown values stay last
    const order = typeof a.key === "number" ? a.key - b.key : words.compare(a.key, b.key);
    return descending ? -order : order;
  });
  body.append(...rows.map((item) => item.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const descending = before ? before === "ascending" : head.classList.contains("n"); // numbers: largest first
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortBy(table, column, descending);
    });
  });
}

const find = document.getElementById("find");
if (find) {
  const flagged = document.getElementById("flagged");
  const found = document.getElementById("found");
  const rows = Array.from(document.querySelectorAll("#images tbody tr"));
  const figures = Array.from(document.querySelectorAll("#pictures figure"));
  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    const fits = (item) => item.textContent.toLowerCase().includes(wanted);
    for (const row of rows) row.hidden = !fits(row) || (flagged.checked && row.dataset.flagged === undefined);
    for (const figure of figures) figure.hidden = !fits(figure);
    const shown = rows.filter((row) => !row.hidden).length;
    found.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} rows`;
  };
  find.addEventListener("input", filter);
  flagged.addEventListener("change", filter);
  find.closest(".controls").hidden = false;
}

for (const button of document.querySelectorAll("button.copy")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.innerText);
    } catch { // an old browser, or no permission: select the text and let it copy
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
