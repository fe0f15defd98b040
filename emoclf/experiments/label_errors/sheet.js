"use strict";
(() => {
  const sheet = JSON.parse(document.getElementById("rows").textContent);
  const column = sheet.columns.indexOf("decision");
  const keys = { k: "keep", m: "move", s: "set_aside" };
  const fields = [...document.querySelectorAll("fieldset")];
  const text = document.getElementById("text");
  let unsaved = false;

  const makeCsv = () => {
    const quote = (cell) => `"${cell.replaceAll('"', '""')}"`;
    return "\ufeff" + [sheet.columns, ...sheet.rows].map((row) => row.map(quote).join(",") + "\r\n").join("");
  };

  const refresh = () => {
    const decided = sheet.rows.filter((row) => row[column]).length;
    document.getElementById("count").textContent = `${decided} of ${sheet.rows.length} decided`;
    if (!text.hidden) text.value = makeCsv();
  };

  fields.forEach((field, number) => {
    field.addEventListener("change", (event) => {
      sheet.rows[number][column] = event.target.value;
      field.classList.toggle("decided", event.target.value !== "");
      unsaved = true;
      refresh();
    });
    field.addEventListener("keydown", (event) => {
      const value = keys[event.key.toLowerCase()];
      if (!value || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.querySelector(`input[value="${value}"]`).click();
      const next = fields[number + 1];
      if (next) (next.querySelector("input:checked") || next.querySelector("input")).focus();
    });
  });

  document.getElementById("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([makeCsv()], { type: "text/csv;charset=utf-8" }));
    link.download = "decisions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    document.getElementById("said").textContent = "decisions.csv was handed to the browser's downloads.";
  });

  document.getElementById("show").addEventListener("click", () => {
    text.hidden = false;
    text.value = makeCsv();
    text.focus();
    text.select();
  });

  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  // After a reload some browsers bring choices back that the rows do not know of.
  document.querySelectorAll("input").forEach((input) => { input.checked = input.defaultChecked; });
  refresh();
})();
