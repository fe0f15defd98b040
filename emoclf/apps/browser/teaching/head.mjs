/**
 * The head: a logistic regression on a network's features, and its file.
 *
 * emoclf reads the same file (`emoclf/models/head_file.py`) and checks the same.
 */

import { softmax } from "../engine/tensors.mjs";
import { SMALLEST_SCALE } from "./regression.mjs";

const HEAD_FORMAT = "emoclf head", HEAD_VERSION = 1;
/** How many features there are of a face, and of a photo with its faces. */
const FEATURE_COUNTS = { face: 136, joint: 1303 };
const MAX_HEAD_LENGTH = 5 * 2 ** 20;
const MAX_NAME_LENGTH = 40;
/** Numbers up to this, and scales from its inverse, cannot make a probability overflow. */
const LARGEST_NUMBER = 1e9;
/** Controls, marks that turn the direction of writing, halves of characters; joiners may stay. */
const UNSHOWABLE = /[\p{C}\p{Zl}\p{Zp}]/u, JOINERS = /[\u200c\u200d]/g;
const HEAD_KEYS = [
  "format", "version", "features", "network", "class_names", "mean", "scale", "weights", "bias",
  "uncertain_below", "accuracy", "examples",
];

/** Make the error for something that the page should say: a key of its texts, and their values. */
export function makeTeachingProblem(problem, detail = {}) {
  return Object.assign(new Error(`${problem} ${JSON.stringify(detail)}`), { problem, detail });
}

/**
 * Return the names as they are kept: trimmed.
 *
 * @param {string[]} names 2 to 6, each of 1 to 40 characters and different from the others; not
 *   "uncertain", which is what is answered where no class is sure enough
 * @returns {string[]}
 */
export function checkClassNames(names) {
  if (!Array.isArray(names) || names.length < 2 || names.length > 6) {
    throw makeTeachingProblem("problem_class_count");
  }
  const kept = names.map((name) => {
    const isPlain = typeof name === "string" && !UNSHOWABLE.test(name.replace(JOINERS, ""));
    const trimmed = isPlain ? name.trim() : "";
    const length = [...trimmed].length;
    if (length < 1 || length > MAX_NAME_LENGTH || trimmed.toLowerCase() === "uncertain") {
      throw makeTeachingProblem("problem_class_name");
    }
    return trimmed;
  });
  const different = new Set(kept.map((name) => name.normalize("NFC")));
  if (different.size < kept.length) throw makeTeachingProblem("problem_class_names_equal");
  return kept;
}

/**
 * Make a head of a fitted regression.
 *
 * @param {{features: string, network: string, classNames: string[], examples: number[]}} about
 * @param {{mean: Float32Array, scale: Float32Array}} scaling from `standardiseRows`
 * @param {Float64Array} fitted from `fitRegression`
 */
export function makeHead(about, { mean, scale }, fitted) {
  const width = mean.length, count = about.classNames.length;
  const column = (i, label) => {
    if (count > 2) return fitted[label * (width + 1) + i];
    return (label === 1 ? fitted[i] : -fitted[i]) / 2; // the same in two columns
  };
  const weights = new Float32Array(width * count);
  for (let i = 0; i < width; i++) {
    for (let label = 0; label < count; label++) weights[i * count + label] = column(i, label);
  }
  const bias = Float32Array.from(about.classNames, (_, label) => column(width, label));
  // Of two classes as the built-in answer for photos (its card says 0.65). Of more, the likeliest
  // should have at least even odds against all others together.
  const uncertainBelow = count === 2 ? 0.65 : 0.5;
  return { ...about, mean, scale, weights, bias, uncertainBelow, accuracy: null };
}

/**
 * Return the probabilities of the classes.
 *
 * @param {Float32Array} features of one face or photo
 * @returns {Float32Array}
 */
export function predictHead(head, features) {
  const { mean, scale, weights, bias } = head;
  if (features.length !== mean.length) {
    throw new Error(`features: expected ${mean.length}, received ${features.length}.`);
  }
  const count = bias.length;
  const logits = Float64Array.from(bias);
  for (let i = 0; i < mean.length; i++) {
    const value = (features[i] - mean[i]) / scale[i];
    for (let label = 0; label < count; label++) logits[label] += value * weights[i * count + label];
  }
  return Float32Array.from(softmax(logits));
}

/**
 * Return the head's file, a JSON text.
 *
 * @returns {string}
 */
export function writeHead(head) {
  const count = head.bias.length;
  const written = {
    format: HEAD_FORMAT,
    version: HEAD_VERSION,
    features: head.features,
    network: head.network,
    class_names: head.classNames,
    mean: shortenNumbers(head.mean),
    scale: shortenNumbers(head.scale),
    weights: Array.from(head.mean, (_, i) => {
      return shortenNumbers(head.weights.subarray(i * count, (i + 1) * count));
    }),
    bias: shortenNumbers(head.bias),
    uncertain_below: head.uncertainBelow,
    accuracy: head.accuracy,
    examples: head.examples,
  };
  return `${JSON.stringify(written)}\n`;
}

/** Write float32 numbers with the nine digits that bring each of them back. */
function shortenNumbers(numbers) {
  return Array.from(numbers, (value) => Number(value.toPrecision(9)));
}

/**
 * Read a head's file, and refuse whatever is not one of this page's networks.
 *
 * @param {string} text
 * @param {{face: string|null, joint: string|null}} networks the digests of the page's networks
 * @returns {object} the head
 */
export function readHead(text, networks) {
  const found = parseHead(text);
  const { features, class_names: names, network } = found;
  checkHeadPart(Object.hasOwn(FEATURE_COUNTS, features), "features");
  checkHeadPart(typeof network === "string" && /^[0-9a-f]{64}$/.test(network), "network");
  if (features === "joint" && !networks.joint) throw makeTeachingProblem("problem_head_no_scene");
  if (network !== networks[features]) throw makeTeachingProblem("problem_head_network");
  const width = FEATURE_COUNTS[features];
  const classNames = readHeadNames(names);
  const count = classNames.length;
  const rows = found.weights;
  checkHeadPart(Array.isArray(rows) && rows.length === width, "weights");
  const head = {
    features,
    network,
    classNames,
    mean: readNumbers(found.mean, width, "mean"),
    scale: readNumbers(found.scale, width, "scale"),
    weights: Float32Array.from(rows.flatMap((row) => [...readNumbers(row, count, "weights")])),
    bias: readNumbers(found.bias, count, "bias"),
    uncertainBelow: readFraction(found.uncertain_below, "uncertain_below"),
    accuracy: readHeadAccuracy(found.accuracy),
    examples: readCounts(found.examples, count),
  };
  checkHeadPart(head.scale.every((value) => value >= Math.fround(SMALLEST_SCALE)), "scale");
  return head;
}

function checkHeadPart(isRight, part) {
  if (!isRight) throw makeTeachingProblem("problem_head_damaged", { part });
}

/** Read the JSON of a head's file: an object with the keys that one has, and no others. */
function parseHead(text) {
  if (typeof text !== "string" || text.length > MAX_HEAD_LENGTH) {
    throw makeTeachingProblem("problem_head_large", { megabytes: MAX_HEAD_LENGTH / 2 ** 20 });
  }
  let found = null;
  try {
    found = JSON.parse(text);
  } catch {
    throw makeTeachingProblem("problem_head_not_json"); // cut off, or nested too deeply
  }
  if (!hasKeys(found, ["format"], true) || found.format !== HEAD_FORMAT) {
    throw makeTeachingProblem("problem_head_other_file");
  }
  if (found.version !== HEAD_VERSION) throw makeTeachingProblem("problem_head_version");
  const missing = HEAD_KEYS.find((key) => !Object.hasOwn(found, key));
  checkHeadPart(missing === undefined, missing);
  checkHeadPart(hasKeys(found, HEAD_KEYS), "keys");
  return found;
}

/** Tell whether a value is an object with these keys of its own, and, unless allowed, no others. */
function hasKeys(value, keys, areOthersAllowed = false) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const areThere = keys.every((key) => Object.hasOwn(value, key));
  return areThere && (areOthersAllowed || Object.keys(value).length === keys.length);
}

function readHeadNames(names) {
  try {
    return checkClassNames(names);
  } catch {
    throw makeTeachingProblem("problem_head_damaged", { part: "class_names" });
  }
}

function readNumbers(values, count, part) {
  checkHeadPart(Array.isArray(values) && values.length === count, part);
  const areNumbers = values.every((value) => {
    return typeof value === "number" && Math.abs(value) <= LARGEST_NUMBER; // no NaN either
  });
  checkHeadPart(areNumbers, part);
  return Float32Array.from(values);
}

function readFraction(value, part) {
  checkHeadPart(typeof value === "number" && value >= 0 && value <= 1, part);
  return value;
}

function isCount(value) {
  return Number.isInteger(value) && value >= 0 && value <= LARGEST_NUMBER;
}

function readCounts(values, count) {
  checkHeadPart(Array.isArray(values) && values.length === count, "examples");
  checkHeadPart(values.every(isCount), "examples");
  return values;
}

function readHeadAccuracy(accuracy) {
  if (accuracy === null) return null;
  checkHeadPart(hasKeys(accuracy, ["value", "low", "high", "n"]), "accuracy");
  const [low, value, high] = ["low", "value", "high"].map((key) => {
    return readFraction(accuracy[key], "accuracy");
  });
  checkHeadPart(low <= value && value <= high && isCount(accuracy.n), "accuracy");
  return { value, low, high, n: accuracy.n };
}
