/** Examples: recorded while a button is held, taken from photos, taken back. */
import { byId, makeButton } from "./elements.mjs";
import { SHOWN_EXAMPLES } from "./class_card.mjs";
import { readPhoto, showFileName, takePixels } from "./reading.mjs";
import { Problem } from "./texts.mjs";

const EXAMPLE_EVERY_MS = 200;
const UNDO_MS = 8000;

/** Hands examples to the worker, and keeps what the cards show of them. */
export class Gatherer {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {import("./worker_client.mjs").WorkerClient} worker - What learns.
   * @param {object} panel - The `TeachPanel`: its cards, `say`, `draw`, and its page.
   */
  constructor(words, worker, panel) {
    Object.assign(this, { words, worker, panel, groups: 0, lost: null, filling: null });
  }

  /** Show how many examples each class has. */
  takeCounts(counts) {
    counts?.forEach((count, label) => {
      const card = this.panel.cards[label];
      if (card) card.group.count = count;
    });
  }

  /** Let photos be chosen for a class. */
  choosePhotos(card) {
    this.filling = card;
    byId("example-files").click();
  }

  /** Take examples from the camera while the button is held: one recording. */
  async record(card) {
    this.groups += 1;
    const group = this.groups;
    this.panel.say("");
    this.panel.draw();
    try {
      await this.flush();
      while (card.isHeld && this.panel.page.isLive()) {
        const start = performance.now();
        const label = this.panel.cards.indexOf(card);
        const reply = await this.worker.ask("example", { label, group, from: "frame" });
        this.takeExample(card, reply);
        if (reply.reason === "full") break;
        const rest = EXAMPLE_EVERY_MS - (performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, rest)));
      }
    } catch (error) {
      this.panel.page.fail([error]);
    }
    card.release();
    this.panel.draw();
  }

  takeExample(card, reply) {
    if (reply.added === null) {
      this.panel.say(this.words.say(`example_${reply.reason.replaceAll("-", "_")}`));
    } else {
      card.group.examples.push({ id: reply.added, picture: reply.thumbnail });
      card.group.examples.splice(0, card.group.examples.length - 4 * SHOWN_EXAMPLES);
      this.panel.say("");
    }
    this.takeCounts(reply.counts);
    this.panel.draw();
  }

  /** Take examples from photos, each a recording of its own. */
  async addPhotos() {
    const files = [...byId("example-files").files];
    byId("example-files").value = "";
    const problems = [];
    const card = this.filling;
    for (const [place, file] of files.entries()) {
      this.panel.say(this.words.say("reading", { number: place + 1, all: files.length }));
      try {
        await this.addPhoto(card, file);
      } catch (error) {
        problems.push(error);
      }
    }
    this.panel.say("");
    if (problems.length) this.panel.page.fail(problems);
  }

  async addPhoto(card, file) {
    const photo = takePixels(await readPhoto(file));
    const label = this.panel.cards.indexOf(card);
    const asked = { label, group: null, from: "photo", ...photo };
    const reply = await this.worker.ask("example", asked, [photo.pixels]);
    this.takeExample(card, reply);
    if (reply.added !== null) return;
    const key = reply.reason === "full" ? "example_full" : "problem_photo_no_face";
    throw new Problem(key, { name: showFileName(file.name) });
  }

  /** Take an example off the page; the worker forgets it when it cannot be undone any more. */
  async removeExample(card, example) {
    await this.settle();
    const place = card.group.examples.indexOf(example);
    card.group.examples.splice(place, 1);
    card.group.count -= 1;
    this.lost = { card, example, place, timer: setTimeout(() => this.settle(), UNDO_MS) };
    const undo = makeButton(this.words.say("undo"), () => this.undo(), "button quiet");
    this.panel.say(this.words.say("example_removed"), undo);
    this.panel.draw();
  }

  undo() {
    if (!this.lost) return;
    const { card, example, place, timer } = this.lost;
    clearTimeout(timer);
    this.lost = null;
    card.group.examples.splice(place, 0, example);
    card.group.count += 1;
    this.panel.say("");
    this.panel.draw();
  }

  /** Make the removal final; what goes wrong is shown. */
  settle() {
    return this.flush().catch((error) => this.panel.page.fail([error]));
  }

  async flush() {
    if (!this.lost) return;
    const { example, timer } = this.lost;
    clearTimeout(timer);
    this.lost = null;
    this.panel.say("");
    const reply = await this.worker.ask("remove", { ids: [example.id] });
    this.takeCounts(reply.counts);
  }

  async clear(card) {
    const label = this.panel.cards.indexOf(card);
    const reply = await this.worker.ask("clear", { label });
    card.group.examples = [];
    this.takeCounts(reply.counts);
    card.hold.focus();
  }
}
