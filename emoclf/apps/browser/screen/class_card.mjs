/** One class that is taught: its name, its examples, and the ways to give it more. */
import { byId, drawRgb, makeButton, makeElement, setText } from "./elements.mjs";
import { colourOf } from "./drawing.mjs";
import { nameClass } from "./wording.mjs";

/** How many of a class's examples are shown: the newest. */
export const SHOWN_EXAMPLES = 12;

const NAME_LETTERS = 30;
const ASSISTED_MS = 1000;
const SURE_WITHIN_MS = 4000;

/** The part of the page for one class. */
export class ClassCard {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {object} group - The class: `name`, `count`, `examples` (`id` and `picture` of each).
   * @param {object} act - What the buttons do: rename, hold, release, choosePhotos, removeExample,
   *   clear and removeClass, each called with this card first.
   */
  constructor(words, group, act) {
    Object.assign(this, { words, group, act, isHeld: false, sureUntil: 0 });
    this.holder = makeElement("section", "class");
    this.name = makeElement("input", "class-name");
    Object.assign(this.name, { maxLength: NAME_LETTERS, autocomplete: "off", spellcheck: false });
    this.name.addEventListener("change", () => act.rename(this, this.name.value));
    this.count = makeElement("span", "class-count");
    this.drop = makeButton("×", () => act.removeClass(this), "drop");
    this.hold = makeElement("button", "button record");
    this.hold.type = "button";
    this.photos = makeButton("", () => act.choosePhotos(this));
    this.examples = makeElement("div", "examples");
    this.clear = makeButton("", () => this.askClear(), "button quiet");
    this.listen();
    const top = makeElement("div", "class-top");
    this.dot = makeElement("span", "dot");
    top.append(this.dot, this.name, this.count, this.drop);
    const buttons = makeElement("div", "class-buttons");
    buttons.append(this.hold, this.photos);
    this.bottom = makeElement("div", "class-bottom");
    this.bottom.append(this.examples, this.clear);
    this.holder.append(top, buttons, this.bottom);
  }

  /** Hold with the pointer, with Space or Enter; one press by an aid counts as a second's hold. */
  listen() {
    const { hold } = this;
    hold.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      hold.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      hold.addEventListener(kind, () => this.release());
    }
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    hold.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.press();
    });
    hold.addEventListener("keyup", (event) => {
      if (event.key === " " || event.key === "Enter") this.release();
    });
    hold.addEventListener("click", (event) => {
      if (event.detail !== 0 || this.isHeld) return;
      this.press();
      setTimeout(() => this.release(), ASSISTED_MS);
    });
  }

  press() {
    if (this.isHeld || this.hold.getAttribute("aria-disabled") === "true") return;
    this.isHeld = true;
    this.holder.classList.add("recording");
    this.act.hold(this);
  }

  release() {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.holder.classList.remove("recording");
    this.act.release(this);
  }

  /** The first press asks, the second clears. */
  askClear() {
    if (performance.now() < this.sureUntil) {
      this.sureUntil = 0;
      this.act.clear(this);
      return;
    }
    this.sureUntil = performance.now() + SURE_WITHIN_MS;
    setText(this.clear, this.words.say("clear_sure", { count: this.group.count }));
    setTimeout(() => {
      if (performance.now() >= this.sureUntil) setText(this.clear, this.words.say("clear"));
    }, SURE_WITHIN_MS + 20);
  }

  /**
   * Show how things stand.
   * @param {{label: number, canRecord: boolean, canRemove: boolean, isBusy: boolean}} state - The
   *   class's number, and what can be done now.
   */
  draw({ label, canRecord, canRemove, isBusy }) {
    const { words, group } = this;
    const shown = nameClass(words, group.name);
    this.dot.style.background = colourOf(label);
    if (document.activeElement !== this.name) this.name.value = shown;
    this.name.setAttribute("aria-label", words.say("class_name", { number: label + 1 }));
    setText(this.count, words.say("examples", { count: group.count }));
    setText(this.hold, words.say(this.isHeld ? "recording" : "hold"));
    this.hold.setAttribute("aria-disabled", String(!canRecord || isBusy));
    this.hold.setAttribute("aria-label", words.say("hold_for", { name: shown }));
    setText(this.photos, words.say("from_photos"));
    this.photos.setAttribute("aria-label", words.say("from_photos_for", { name: shown }));
    this.photos.disabled = isBusy;
    if (performance.now() >= this.sureUntil) setText(this.clear, words.say("clear"));
    this.bottom.hidden = group.count === 0;
    this.clear.disabled = isBusy;
    this.drop.hidden = !canRemove;
    this.drop.disabled = isBusy;
    this.drop.setAttribute("aria-label", words.say("remove_class", { name: shown }));
    this.drop.title = words.say("remove_class", { name: shown });
    this.drawExamples();
  }

  drawExamples() {
    const { words, group } = this;
    const wanted = group.examples.slice(-SHOWN_EXAMPLES).reverse();
    const known = new Map(
      [...this.examples.children].map((each) => [Number(each.dataset.id), each]),
    );
    const made = wanted.map((example) => {
      const button = known.get(example.id) ?? this.makeExample(example);
      button.setAttribute("aria-label", words.say("remove_example", { number: example.id }));
      return button;
    });
    const hadFocus = this.examples.contains(document.activeElement);
    this.examples.replaceChildren(...made);
    if (hadFocus && document.activeElement === document.body) (made[0] ?? this.hold).focus();
  }

  makeExample(example) {
    const button = makeButton("", () => this.act.removeExample(this, example), "example");
    button.dataset.id = example.id;
    const canvas = makeElement("canvas");
    drawRgb(canvas, example.picture);
    button.append(canvas);
    return button;
  }
}

/** Put the cards of all classes onto the page. */
export function placeCards(cards) {
  byId("classes").replaceChildren(...cards.map((card) => card.holder));
}
