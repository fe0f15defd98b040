/** What a training reached: accuracy with its interval, confusion table, warnings. */
import { byId, makeElement } from "./elements.mjs";
import { colourOf } from "./drawing.mjs";
import { nameClass } from "./wording.mjs";

/**
 * Show a result.
 * @param {import("./texts.mjs").Words} words - The words.
 * @param {object | null} result - What the worker answered to "train", with `classNames`; or null.
 */
export function showResult(words, result) {
  const holder = byId("result");
  holder.hidden = !result;
  if (!result) return;
  const parts = result.accuracy ? makeAccuracy(words, result) : [makeNone(words)];
  if (result.confusion) parts.push(makeConfusion(words, result));
  if (result.warnings?.length) parts.push(makeWarnings(words, result));
  holder.replaceChildren(makeElement("h2", "", words.say("result")), ...parts);
}

/**
 * Say an accuracy with its interval: "9 of 10 recordings right: 0.90 (0.60 to 0.98)". Where frames
 * of one recording were answered differently, it is a mean, and no recording is right or wrong.
 */
export function sayAccuracy(words, { value, low, high, n }) {
  const [of_, from, to] = [value, low, high].map((each) => words.two.format(each));
  const right = Math.round(value * n);
  const key = Math.abs(value * n - right) < 1e-6 ? "accuracy" : "accuracy_mean";
  return words.say(key, { right, n, value: of_, low: from, high: to });
}

function makeAccuracy(words, { accuracy }) {
  const large = makeElement("p", "accuracy", words.two.format(accuracy.value));
  large.setAttribute("aria-hidden", "true");
  const range = makeElement("div", "range");
  const span = makeElement("span", "range-span");
  span.style.insetInlineStart = `${100 * accuracy.low}%`;
  span.style.inlineSize = `${100 * (accuracy.high - accuracy.low)}%`;
  const dot = makeElement("span", "range-dot");
  dot.style.insetInlineStart = `${100 * accuracy.value}%`;
  range.append(span, dot);
  const box = makeElement("div", "accuracy-box");
  box.append(large, range);
  return [
    box,
    makeElement("p", "", sayAccuracy(words, accuracy)),
    makeElement("p", "small", words.say("accuracy_note")),
  ];
}

function makeNone(words) {
  return makeElement("p", "", words.say("accuracy_none"));
}

function makeConfusion(words, { confusion, classNames }) {
  const holder = makeElement("div", "table-holder");
  const table = makeElement("table");
  const names = classNames.map((name) => nameClass(words, name));
  const caption = makeElement("caption", "", words.say("confusion"));
  const head = makeElement("tr");
  head.append(
    makeElement("th", "", words.say("confusion_corner")),
    ...names.map((name) => makeHeader(name, "col")),
  );
  const body = confusion.map((counts, row) => {
    const line = makeElement("tr");
    const cells = counts.map((count, column) => {
      const cell = makeElement("td", "", words.write(count));
      if (count && row === column) cell.style.boxShadow = `inset 0 -4px 0 ${colourOf(row)}`;
      if (count && row !== column) cell.className = "wrong";
      return cell;
    });
    line.append(makeHeader(names[row], "row"), ...cells);
    return line;
  });
  head.firstChild.scope = "col";
  table.append(caption, head, ...body);
  holder.append(table);
  return holder;
}

function makeHeader(text, scope) {
  const header = makeElement("th", "", text);
  header.scope = scope;
  return header;
}

function makeWarnings(words, { warnings, classNames }) {
  const list = makeElement("ul", "warnings");
  for (const { key, values = {} } of warnings) {
    const shown = Object.entries(values).map(([name, value]) => [
      name,
      classNames.includes(value) ? nameClass(words, value) : value,
    ]);
    list.append(makeElement("li", "", words.say(key, Object.fromEntries(shown))));
  }
  return list;
}
