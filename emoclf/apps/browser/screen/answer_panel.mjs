/** The answer in words and bars: the headline, a row per face, and what is read aloud. */
import { byId, makeElement, setText } from "./elements.mjs";
import { colourOf, inkOn } from "./drawing.mjs";
import { faceClasses, nameAnswer, nameClass, writeHeadline, writeShare } from "./wording.mjs";

const SPOKEN_EVERY_MS = 2500;
const MAX_ROWS = 60;

/** Shows an answer; rows are kept from frame to frame, so that focus stays where it is. */
export class AnswerPanel {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {(index: number) => void} choose - Called with the face whose row was pressed.
   */
  constructor(words, choose) {
    Object.assign(this, { words, choose, spokenAt: -Infinity, spoken: "", timer: 0 });
    this.rows = [];
  }

  /**
   * Show an answer.
   * @param {object} answer - What the worker answered.
   * @param {number} chosen - The index of the chosen face, or -1.
   */
  show(answer, chosen) {
    const { title, note } = writeHeadline(this.words, answer);
    this.say(title, note);
    const names = faceClasses(answer);
    const shown = answer.faces.slice(0, MAX_ROWS).map((face, index) => [face, names, index]);
    if (answer.photo) shown.unshift([answer.photo, answer.classNames, -1]);
    this.keepRows(shown.length);
    shown.forEach(([found, classNames, index], row) => {
      const isChosen = index >= 0 && index === chosen;
      this.fillRow(this.rows[row], found, classNames, index, {
        isChosen,
        isAlone: shown.length === 1,
      });
    });
    byId("answer-empty").hidden = shown.length > 0;
    byId("neither-note").hidden = !answer.faces.some((face) => isNumber(face.neither));
    this.speak(`${title}${note ? `. ${note}` : ""}`, spokenKey(answer));
  }

  /** Show a headline without an answer. */
  say(title, note = "") {
    setText(byId("headline"), title);
    setText(byId("headline-note"), note);
  }

  /** Show a headline and no rows. */
  clear(title, note = "") {
    this.say(title, note);
    this.keepRows(0);
    byId("answer-empty").hidden = false;
    byId("neither-note").hidden = true;
    this.spoken = "";
  }

  /** Read an answer aloud when it is another one than before, and not too often. */
  speak(text, key) {
    if (key === this.spoken) return;
    clearTimeout(this.timer);
    const wait = Math.max(0, this.spokenAt + SPOKEN_EVERY_MS - performance.now());
    this.timer = setTimeout(() => {
      this.spokenAt = performance.now();
      this.spoken = key;
      setText(byId("spoken"), text);
    }, wait);
  }

  keepRows(count) {
    while (this.rows.length > count) this.rows.pop().item.remove();
    while (this.rows.length < count) this.rows.push(makeRow(this.choose));
  }

  fillRow(row, found, classNames, index, { isChosen, isAlone }) {
    const { words } = this;
    row.index = index;
    const place =
      index < 0 ? words.say("whole_photo") : words.say("face_number", { number: index + 1 });
    const colour = colourOf(found.answer);
    setText(row.badge, index < 0 ? "▣" : String(index + 1));
    row.badge.hidden = index >= 0 && isAlone;
    row.badge.style.background = colour;
    row.badge.style.color = inkOn(colour);
    setText(row.named, nameAnswer(words, found, classNames));
    setText(row.place, place);
    row.place.classList.toggle("unseen", index >= 0);
    row.item.classList.toggle("chosen", isChosen);
    row.button.disabled = index < 0 || isAlone;
    row.button.setAttribute("aria-pressed", String(isChosen));
    const bars = classNames.map((name, label) => ({
      text: nameClass(words, name),
      value: found.probabilities[label],
      colour: colourOf(label),
    }));
    if (isNumber(found.neither)) {
      bars.push({
        text: words.say("neither"),
        value: found.neither,
        colour: colourOf(-1),
        isAside: true,
      });
    }
    this.fillBars(row, bars);
  }

  fillBars(row, bars) {
    while (row.bars.length > bars.length) row.bars.pop().line.remove();
    while (row.bars.length < bars.length) row.bars.push(makeBar(row.holder));
    bars.forEach(({ text, value, colour, isAside }, place) => {
      const bar = row.bars[place];
      bar.line.classList.toggle("aside", Boolean(isAside));
      setText(bar.text, text);
      setText(bar.share, writeShare(this.words, value));
      bar.fill.style.inlineSize = `${(100 * value).toFixed(1)}%`;
      bar.fill.style.background = colour;
    });
  }
}

function isNumber(value) {
  return typeof value === "number";
}

/** What has to change before an answer is read aloud again: classes and faces, not shares. */
function spokenKey(answer) {
  return [answer.photo?.answer ?? "", ...answer.faces.map((face) => face.answer)].join();
}

function makeRow(choose) {
  const row = { item: makeElement("li", "row"), bars: [], index: 0 };
  row.button = makeElement("button", "row-button");
  row.button.type = "button";
  row.button.addEventListener("click", () => choose(row.index));
  row.badge = makeElement("span", "badge");
  row.badge.setAttribute("aria-hidden", "true");
  row.named = makeElement("span", "row-answer");
  row.place = makeElement("span", "row-place");
  row.holder = makeElement("span", "bars");
  row.button.append(row.badge, row.named, row.place, row.holder);
  row.item.append(row.button);
  byId("rows").append(row.item);
  return row;
}

function makeBar(holder) {
  const line = makeElement("span", "bar");
  const [text, track, fill, share] = ["bar-name", "bar-track", "bar-fill", "bar-share"].map(
    (name) => makeElement("span", name),
  );
  track.append(fill);
  line.append(text, track, share);
  holder.append(line);
  return { line, text, fill, share };
}
