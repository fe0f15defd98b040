/** What the page is taught: examples, the head that learns from them, and its file. */
import { teachHead } from "../teaching/evaluating.mjs";
import { ExampleStore } from "../teaching/examples.mjs";
import { checkClassNames, readHead, writeHead } from "../teaching/head.mjs";
import { cropFace } from "../vision/cropping.mjs";
import { resizePhoto } from "../vision/preparing.mjs";

const THUMBNAIL_SIZE = [48, 48];

export class Learner {
  /** @param {object} answerer - An `Answerer`, which answers by the head when it is used. */
  constructor(answerer) {
    this.answerer = answerer;
    this.head = null;
    this.store = null;
    this.features = "face";
    /** Whether the head is of these classes: it was taught here, not opened. */
    this.isTaught = false;
  }

  /**
   * Begin with new classes.
   * @param {{classNames: string[], features: "face"|"joint", from?: number[]}} asked - `from` tells
   *   for each class which of the old ones it was, -1 none; without it, all examples go.
   */
  classes({ classNames, features, from }) {
    const isSame = from && this.store && features === this.features;
    if (isSame) this.arrangeClasses(checkClassNames(classNames), from);
    else this.store = new ExampleStore(classNames);
    Object.assign(this, { features, isTaught: false });
    return { counts: this.store.counts };
  }

  arrangeClasses(classNames, from) {
    const { store } = this;
    store.classNames.forEach((_, label) => from.includes(label) || store.clear(label));
    for (const example of store.examples) example.label = from.indexOf(example.label);
    store.classNames = classNames;
  }

  rename({ label, name }) {
    this.findStore().rename(label, name);
    const { classNames } = this.store;
    if (this.isTaught) this.head.classNames = [...classNames];
    return { classNames };
  }

  /**
   * Keep an example of a class: the largest face of a picture, or all of it with its faces.
   * @param {{label: number, group: number|string|null}} asked
   * @param {{picture: object, faces: object[], seconds: number}|null} seen - null: no frame yet.
   */
  example({ label, group }, seen) {
    const store = this.findStore();
    const { counts } = store;
    const isFace = this.features === "face";
    if (!seen) return { added: null, reason: "no-frame", counts };
    const { picture, faces, seconds } = seen;
    if (isFace && !faces.length) return { added: null, reason: "no-face", counts };
    const thumbnail = isFace
      ? cropFace(picture, faces[0], THUMBNAIL_SIZE)
      : resizePhoto(picture, THUMBNAIL_SIZE, "crop");
    const features = this.answerer.findFeatures(this.features, picture, faces);
    const added = store.add({ features, thumbnail, label, group, seconds });
    return added === null
      ? { added, reason: "full", counts }
      : { added, thumbnail, counts: store.counts };
  }

  remove({ ids }) {
    return { counts: this.findStore().remove(ids) };
  }

  clear({ label }) {
    return { counts: this.findStore().clear(label) };
  }

  /** Let a head learn from all examples; it answers from then on. */
  train() {
    const start = performance.now();
    const network = this.answerer.info[this.features].sha256;
    const { head, ...found } = teachHead(this.findStore(), { features: this.features, network });
    Object.assign(this, { head, isTaught: true });
    this.use({ own: true });
    return { ...found, milliseconds: performance.now() - start };
  }

  /** Let the learner's head answer, or what was built in. */
  use({ own }) {
    this.answerer.own = own ? this.findHead() : null;
    return {};
  }

  save() {
    return { text: writeHead(this.findHead()) };
  }

  /** Read the file of a head, which answers from then on. */
  open({ text }) {
    const { face, joint } = this.answerer.info;
    const hasScene = this.answerer.featureKinds.includes("joint");
    const networks = { face: face?.sha256 ?? null, joint: hasScene ? joint.sha256 : null };
    Object.assign(this, { head: readHead(text, networks), isTaught: false });
    this.use({ own: true });
    const { classNames, features, accuracy } = this.head;
    return { classNames, features, accuracy };
  }

  findStore() {
    if (!this.store) throw new Error("There are no classes yet: send them first.");
    return this.store;
  }

  findHead() {
    if (!this.head) throw new Error("There is no head yet: teach it or open one first.");
    return this.head;
  }
}
