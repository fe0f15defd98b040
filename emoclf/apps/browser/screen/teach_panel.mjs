/** Teach it: examples for two to six classes, training, the learner's own head. */
import { byId, makeElement, offerFile } from "./elements.mjs";
import { ClassCard, placeCards } from "./class_card.mjs";
import { Gatherer } from "./gathering.mjs";
import { fillSwitch } from "./choosing.mjs";
import { showFileName } from "./reading.mjs";
import { Problem } from "./texts.mjs";
import { nameClass, readClassName } from "./wording.mjs";
import { sayAccuracy, showResult } from "./result.mjs";

const FEWEST = 2;
const MOST = 6;
const MAX_HEAD_MEGABYTES = 5;

/** The part of the page that teaches. */
export class TeachPanel {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {import("./worker_client.mjs").WorkerClient} worker - What learns.
   * @param {object} page - `isLive()`: whether frames come in; `taught()`: called when there is a
   *   new head of one's own; `fail(problems)`: shows what went wrong.
   */
  constructor(words, worker, page) {
    Object.assign(this, { words, worker, page, features: "face", result: null });
    Object.assign(this, { isBusy: false, hasHead: false, opened: null });
    this.gatherer = new Gatherer(words, worker, this);
    this.cards = ["Sad", "Happy"].map((name) => this.makeCard(name));
    byId("add-class").addEventListener("click", () => this.addClass());
    byId("train").addEventListener("click", () => this.run(() => this.train()));
    byId("save-head").addEventListener("click", () => this.run(() => this.save()));
    byId("open-head").addEventListener("click", () => byId("head-file").click());
    byId("head-file").addEventListener("change", () => this.run(() => this.open()));
    byId("example-files").addEventListener("change", () =>
      this.run(() => this.gatherer.addPhotos()),
    );
  }

  /** Begin, where something can be taught: "face", "joint" or both. */
  async start(featureKinds) {
    this.kinds = featureKinds;
    [this.features] = featureKinds;
    await this.sendClasses();
    this.draw();
  }

  get classNames() {
    return this.cards.map((card) => card.group.name);
  }

  makeCard(name) {
    const act = {
      rename: (card, typed) => this.rename(card, typed),
      hold: (card) => this.gatherer.record(card),
      release: () => this.draw(),
      choosePhotos: (card) => this.gatherer.choosePhotos(card),
      removeExample: (card, example) => this.gatherer.removeExample(card, example),
      clear: (card) => this.run(() => this.gatherer.clear(card)),
      removeClass: (card) => this.removeClass(card),
    };
    return new ClassCard(this.words, { name, count: 0, examples: [] }, act);
  }

  /** Do one thing at a time; what goes wrong is shown. */
  async run(act) {
    if (this.isBusy) return;
    this.isBusy = true;
    this.draw();
    try {
      await this.gatherer.flush();
      await act();
    } catch (error) {
      this.say("");
      if (error.values?.name) error.values.name = nameClass(this.words, error.values.name);
      this.page.fail([error]);
    }
    this.isBusy = false;
    this.draw();
  }

  say(text, button = null) {
    const status = byId("teach-status");
    status.replaceChildren(text);
    if (button) status.append(" ", button);
  }

  /** Tell the worker the classes; `from` says which of the old ones each of them was. */
  async sendClasses(from = undefined) {
    const { classNames, features } = this;
    const reply = await this.worker.ask("classes", { classNames, features, from });
    this.gatherer.takeCounts(reply.counts);
  }

  addClass() {
    if (this.cards.length >= MOST) return;
    this.run(async () => {
      const taken = new Set(this.classNames);
      let number = this.cards.length + 1;
      while (taken.has(this.words.say("new_class", { number }))) number += 1;
      const from = [...this.cards.keys(), -1];
      this.cards.push(this.makeCard(this.words.say("new_class", { number })));
      await this.sendClasses(from);
      this.draw();
      this.cards.at(-1).name.focus();
      this.cards.at(-1).name.select();
    });
  }

  removeClass(card) {
    const label = this.cards.indexOf(card);
    if (this.cards.length <= FEWEST || label < 0) return;
    this.run(async () => {
      const from = [...this.cards.keys()].filter((each) => each !== label);
      this.cards.splice(label, 1);
      await this.sendClasses(from);
      this.draw();
      this.cards[Math.min(label, this.cards.length - 1)].name.focus();
    });
  }

  rename(card, typed) {
    const cleaned = showFileName(typed).trim();
    const name = readClassName(this.words, cleaned);
    const isTaken = this.cards.some((each) => each !== card && each.group.name === name);
    card.name.value = "";
    if (!typed.trim() || isTaken) {
      this.say(this.words.say(isTaken ? "name_taken" : "name_empty", { name: cleaned }));
      this.draw();
      return;
    }
    this.run(async () => {
      await this.worker.ask("rename", { label: this.cards.indexOf(card), name });
      card.group.name = name;
      if (this.result) this.result.classNames = this.classNames;
    });
  }

  async train() {
    this.say(this.words.say("training"));
    const reply = await this.worker.ask("train");
    this.result = { ...reply, classNames: this.classNames };
    this.opened = null;
    this.hasHead = true;
    this.say(this.words.say("trained"));
    await this.page.taught();
  }

  async save() {
    const { text } = await this.worker.ask("save");
    offerFile(new Blob([text], { type: "application/json" }), "head.json");
    this.say(this.words.say("saved"));
  }

  async open() {
    const [file] = byId("head-file").files;
    byId("head-file").value = "";
    if (!file) return;
    if (file.size > 1e6 * MAX_HEAD_MEGABYTES) {
      throw new Problem("problem_head_large", { megabytes: MAX_HEAD_MEGABYTES });
    }
    const opened = await this.worker.ask("open", { text: await file.text() });
    Object.assign(this, { opened, hasHead: true, result: null });
    this.say("");
    await this.page.taught();
  }

  sayOpened() {
    const { words, opened } = this;
    const names = opened.classNames.map((name) => nameClass(words, name)).join(words.say("comma"));
    const accuracy = opened.accuracy ? ` ${sayAccuracy(words, opened.accuracy)}` : "";
    return `${words.say("head_opened", { names })}${accuracy}`;
  }

  chooseFeatures(kind) {
    this.run(async () => {
      this.features = kind;
      await this.sendClasses();
    });
  }

  /** Show how things stand. */
  draw() {
    const { words, isBusy, cards } = this;
    const canRecord = this.page.isLive();
    placeKept(cards);
    cards.forEach((card, label) => {
      card.draw({ label, canRecord, isBusy, canRemove: cards.length > FEWEST });
    });
    byId("teach-hint").hidden = canRecord;
    byId("add-class").disabled = isBusy || cards.length >= MOST;
    byId("train").disabled = isBusy || cards.some((card) => card.group.count === 0);
    byId("save-head").disabled = isBusy || !this.hasHead;
    byId("open-head").disabled = isBusy;
    showResult(words, this.result);
    if (this.opened) byId("result").replaceChildren(makeElement("p", "", this.sayOpened()));
    if (this.opened) byId("result").hidden = false;
    this.drawFeatures();
  }

  drawFeatures() {
    const { words } = this;
    byId("features").hidden = !this.kinds || this.kinds.length < 2;
    if (byId("features").hidden) return;
    const hasExamples = this.cards.some((card) => card.group.count > 0);
    byId("features").disabled = hasExamples || this.isBusy;
    byId("features-note").hidden = !hasExamples;
    const choices = this.kinds.map((kind) => [kind, words.say(`features_${kind}`)]);
    fillSwitch(byId("features-choice"), choices, this.features, (kind) =>
      this.chooseFeatures(kind),
    );
  }
}

function placeKept(cards) {
  const shown = [...byId("classes").children];
  const isSame =
    shown.length === cards.length && cards.every((card, n) => card.holder === shown[n]);
  if (!isSame) placeCards(cards);
}
