/**
 * The examples that a head learns from.
 *
 * What the worker calls of this folder:
 *
 *   new ExampleStore(classNames)          examples.mjs; throws for names that no class may have
 *     .add({ features, thumbnail, label, group }) -> id, or null: it is full
 *     .remove(ids)  .clear(label)  .rename(label, name)  .counts  .classNames
 *   teachHead(store, { features: "face"|"joint", network: sha256 })
 *     -> { head, accuracy, confusion, warnings: [{ key, values }], counts }     evaluating.mjs
 *   predictHead(head, features) -> Float32Array(classes)                         head.mjs
 *   writeHead(head) -> text
 *   readHead(text, { face: sha256|null, joint: sha256|null }) -> head
 *
 *   head = { features, network, classNames, mean, scale, weights, bias, uncertainBelow,
 *            accuracy, examples }
 *
 * What cannot be done throws an Error with `problem`, a key of the page's texts, and `detail`, an
 * object with the values of its placeholders.
 */

import { sketchPicture } from "./duplicates.mjs";
import { checkClassNames } from "./head.mjs";

/** More would take the memory of a phone, and no better head. */
export const MAX_EXAMPLES = 5000;

/** Examples with their classes and recordings. */
export class ExampleStore {
  #examples = [];
  #features = new Float32Array(0);
  #width = 0;
  #lastId = 0;

  /** @param {string[]} classNames 2 to 6 different names */
  constructor(classNames) {
    this.classNames = checkClassNames(classNames);
  }

  /**
   * Add an example.
   *
   * @param {object} example
   * @param {Float32Array} example.features what the network finds in it; of the same length always
   * @param {{width: number, height: number, data: Uint8Array}} example.thumbnail 48 x 48, RGB
   * @param {number} example.label position of its class
   * @param {number|string|null} example.group its recording: all frames of one share it; null for
   *   a photo, which is a group of its own
   * @returns {number|null} its id; null if there are 5,000
   */
  add({ features, thumbnail, label, group = null }) {
    if (this.#examples.length >= MAX_EXAMPLES) return null;
    this.#checkLabel(label);
    this.#makeRoom(features.length);
    this.#features.set(features, this.#examples.length * this.#width);
    const id = ++this.#lastId;
    const recording = group === null ? `photo ${id}` : `recording ${label} ${group}`;
    this.#examples.push({ id, label, recording, ...sketchPicture(thumbnail) });
    return id;
  }

  #checkLabel(label) {
    if (!Number.isInteger(label) || label < 0 || label >= this.classNames.length) {
      throw new Error(`label: expected 0 to ${this.classNames.length - 1}, received ${label}.`);
    }
  }

  /** Make the buffer larger where it is full: twice as large, so that this is rarely needed. */
  #makeRoom(width) {
    if (this.#examples.length === 0) this.#width = width;
    if (width !== this.#width) {
      throw new Error(`features: expected ${this.#width} of each example, received ${width}.`);
    }
    const needed = (this.#examples.length + 1) * width;
    if (needed <= this.#features.length) return;
    const larger = new Float32Array(Math.max(needed, 2 * this.#features.length));
    larger.set(this.#features);
    this.#features = larger;
  }

  /**
   * Remove some examples.
   *
   * @param {number[]} ids as `add` returned them; others are passed over
   * @returns {number[]} the counts
   */
  remove(ids) {
    const gone = new Set(ids);
    return this.#keep(({ id }) => !gone.has(id));
  }

  /** Remove all examples of one class and return the counts. */
  clear(label) {
    this.#checkLabel(label);
    return this.#keep((example) => example.label !== label);
  }

  #keep(isKept) {
    const width = this.#width;
    const kept = [];
    this.#examples.forEach((example, n) => {
      if (!isKept(example)) return;
      this.#features.copyWithin(kept.length * width, n * width, (n + 1) * width);
      kept.push(example);
    });
    this.#examples = kept;
    return this.counts;
  }

  /** Give a class another name. */
  rename(label, name) {
    this.#checkLabel(label);
    this.classNames = checkClassNames(
      this.classNames.map((each, n) => (n === label ? name : each)),
    );
  }

  /** How many examples each class has. */
  get counts() {
    const counts = this.classNames.map(() => 0);
    for (const { label } of this.#examples) counts[label] += 1;
    return counts;
  }

  /** The examples, in the order in which they were added. */
  get examples() {
    return this.#examples;
  }

  /** Their features, row by row. */
  get features() {
    return this.#features.subarray(0, this.#examples.length * this.#width);
  }
}
