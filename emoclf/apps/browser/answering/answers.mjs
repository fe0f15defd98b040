/** From a network's numbers to an answer: the package's arithmetic (softmax, card, joint head). */
import { softmax } from "../engine/tensors.mjs";

/** What each class is called among the emotions of the packaged face network. */
const EMOTION_OF_CLASS = { Sad: "sadness", Happy: "happiness" };

/** The classes of the packaged face network, in the order of its answers. */
export const FACE_CLASS_NAMES = ["Sad", "Happy"];

/** The largest faces of a photo that its answer as a whole depends on. */
export const MAX_FACES = 8;

const HAPPINESS = 1;
const SADNESS = 3;

/** Return the place of the largest value; of equal ones the first. */
export function findLargest(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

/**
 * Turn logits of the emotions into calibrated probabilities of Sad and Happy.
 * @param {Float32Array} logits
 * @param {{emotions: string[], temperature: number}} card
 * @returns {{probabilities: number[], neither: number}} `neither` is that of all other emotions.
 */
export function calibrateLogits(logits, { emotions, temperature }) {
  const columns = FACE_CLASS_NAMES.map((name) => emotions.indexOf(EMOTION_OF_CLASS[name]));
  const every = softmax(logits);
  return {
    probabilities: softmax(columns.map((column) => logits[column] / temperature)),
    neither: columns.reduce((rest, column) => rest - every[column], 1),
  };
}

/**
 * Decide as `UncertaintyRule` does.
 * @param {number[]} probabilities - Of the classes.
 * @param {number|null} neither - Probability of none of them, where it is known.
 * @param {{uncertainBelow: number, neitherAbove?: number}|null} rule - null always names a class.
 * @returns {number} The label of the most probable class, or -1 for uncertain.
 */
export function decideAnswer(probabilities, neither, rule) {
  const label = findLargest(probabilities);
  if (rule === null) return label;
  const isUnclear = probabilities[label] < rule.uncertainBelow;
  return isUnclear || (neither !== null && neither > (rule.neitherAbove ?? 1)) ? -1 : label;
}

/**
 * Say in 23 numbers what the faces of a photo look like, as `summarise_faces` does.
 * @param {Float32Array[]} logits - Of each face, the largest first; at most eight.
 * @param {number[]} sizes - Root of each face's fraction of the photo.
 * @returns {number[]}
 */
export function summariseFaces(logits, sizes) {
  if (!logits.length) return new Array(23).fill(0);
  const sum = Math.max(sizes.reduce((total, size) => total + size, 0), 1e-6);
  const average = (values) =>
    values.reduce((total, value, face) => total + (value * sizes[face]) / sum, 0);
  const happier = logits.map((each) => each[HAPPINESS] - each[SADNESS]);
  const emotions = logits.map(softmax);
  const [largest] = logits;
  const mean = largest.reduce((total, value) => total + value, 0) / largest.length;
  return [
    1,
    Math.log(logits.length),
    sizes[0],
    happier[0],
    average(happier),
    Math.max(...happier),
    Math.min(...happier),
    ...emotions[0].map((_, emotion) => average(emotions.map((each) => each[emotion]))),
    ...Array.from(largest, (value) => value - mean),
  ];
}

/**
 * Read the packaged joint head.
 * @param {ArrayBuffer} content - Little-endian float32: mean, scale, weights row by row, bias.
 * @param {number} classes - How many classes it tells apart.
 * @returns {{mean: Float32Array, scale: Float32Array, weights: Float32Array, bias: Float32Array}}
 */
export function readPackedHead(content, classes) {
  const values = new Float32Array(content);
  const count = (values.length - classes) / (classes + 2);
  if (!Number.isInteger(count)) throw new Error("The head of the page is damaged.");
  return {
    mean: values.subarray(0, count),
    scale: values.subarray(count, 2 * count),
    weights: values.subarray(2 * count, values.length - classes),
    bias: values.subarray(values.length - classes),
  };
}
