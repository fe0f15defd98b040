/**
 * A head learns from all examples; how good it is, is told by examples that were held out.
 *
 * The frames of one recording are too alike to be learned from and tested with, so groups of
 * examples are held out whole, and each counts once.
 */

import { findGroups } from "./duplicates.mjs";
import { makeHead, makeTeachingProblem } from "./head.mjs";
import { fitRegression, predictRegression, scaleRows, standardiseRows } from "./regression.mjs";

const MAX_FOLDS = 5;
/** Where there is much to learn from, fewer folds are enough, and done in half the time. */
const FOLDS_OF_MUCH = 3, MUCH = 5e6;
/** With fewer examples in a class, chance decides much. */
const FEW_EXAMPLES = 20;
/** From here on one class outweighs another. */
const ONE_SIDED = 3;
/** What scikit-learn's C may be. */
const INVERSE_STRENGTHS = [1e-4, 1e-3, 1e-2, 1e-1, 1];
/** How small a gradient is small enough: to compare values of C, to test, and to answer. */
const ROUGH = 1e-3, FAIR = 3e-4, EXACT = 1e-5;
/** Quantile of the normal distribution for 95 %. */
const QUANTILE = 1.959964;

/**
 * Train a head on all examples and measure, on held-out ones, how good it is.
 *
 * @param {ExampleStore} store with examples of every class
 * @param {{features: "face"|"joint", network: string}} about what the features are, and the digest
 *   of the network that found them
 * @returns {{head: object, accuracy: null|{value: number, low: number, high: number, n: number},
 *   confusion: null|number[][], warnings: {key: string, values: object}[], counts: number[]}}
 *   confusion: examples; rows are the true class, columns the predicted one
 */
export function teachHead(store, about) {
  const { classNames, counts } = store;
  const empty = counts.indexOf(0);
  if (empty >= 0) throw makeTeachingProblem("problem_class_empty", { name: classNames[empty] });
  const groups = gatherGroups(findGroups(store.examples, store.features), store.examples, counts);
  const data = {
    features: store.features,
    labels: store.examples.map(({ label }) => label),
    classCount: counts.length,
    width: store.features.length / store.examples.length,
  };
  const isMuch = data.features.length * counts.length > MUCH;
  const folds = dealFolds(groups, counts.length, isMuch ? FOLDS_OF_MUCH : MAX_FOLDS);
  const tested = folds === null ? null : testFolds(data, folds);
  const rows = data.labels.map((_, n) => n);
  const { inverse = guessInverse(data), start, ...held } = tested ?? {};
  const fit = fitRows(data, rows, inverse, { start, tolerance: EXACT });
  const named = { ...about, classNames: [...classNames], examples: counts };
  const head = makeHead(named, fit, fit.fitted);
  const { accuracy = null, confusion = null } = held;
  const warnings = listWarnings(classNames, counts, groups);
  return { head: { ...head, accuracy }, accuracy, confusion, warnings, counts };
}

/** Gather the members of each group; it stands in the class of most of them. */
function gatherGroups(groupOf, examples, counts) {
  const groups = new Map();
  groupOf.forEach((group, n) => {
    if (!groups.has(group)) groups.set(group, { rows: [], counts: counts.map(() => 0) });
    groups.get(group).rows.push(n);
    groups.get(group).counts[examples[n].label] += 1;
  });
  return [...groups.values()].map((group) => ({
    rows: group.rows,
    label: group.counts.indexOf(Math.max(...group.counts)),
    isMixed: group.counts.filter((count) => count > 0).length > 1,
  }));
}

/** Deal the groups of every class into folds; null where one class has a single group. */
function dealFolds(groups, classCount, most) {
  const ofClasses = Array.from({ length: classCount }, (_, label) => {
    return groups.filter((group) => group.label === label);
  });
  const count = Math.min(most, ...ofClasses.map((own) => own.length));
  if (count < 2) return null;
  const folds = Array.from({ length: count }, () => []);
  let next = 0;
  for (const own of ofClasses) {
    own.sort((a, b) => b.rows.length - a.rows.length); // so that the folds are even
    for (const group of own) folds[next++ % count].push(group);
  }
  return folds;
}

/** Hold each fold out once; nothing that it is tested with, the start included, has seen it. */
function testFolds(data, folds) {
  const confusion = Array.from({ length: data.classCount }, () => Array(data.classCount).fill(0));
  const fractions = [], chosen = [];
  folds.forEach((fold, n) => {
    const training = folds.flatMap((each, m) => (m === n ? [] : each.flatMap(({ rows }) => rows)));
    const { inverse, start } = chooseInverse(data, folds, n);
    const fit = fitRows(data, training, inverse, { tolerance: FAIR, start });
    chosen.push({ inverse, start: fit.fitted });
    for (const { rows } of fold) {
      const answers = findAnswers(predictRows(data, fit, rows), data.classCount);
      rows.forEach((row, m) => (confusion[data.labels[row]][answers[m]] += 1));
      const right = answers.filter((answer, m) => answer === data.labels[rows[m]]);
      fractions.push(right.length / rows.length);
    }
  });
  chosen.sort((a, b) => a.inverse - b.inverse);
  const middle = chosen[Math.floor(chosen.length / 2)];
  return { accuracy: estimateAccuracy(fractions), confusion, ...middle };
}

/**
 * Return the C with the lowest loss on the next fold, learned from what is neither that nor the
 * fold that is tested, and where to start from; a guess where nothing is left.
 */
function chooseInverse(data, folds, tested) {
  if (folds.length < 3) return { inverse: guessInverse(data) };
  const validation = (tested + 1) % folds.length;
  const others = folds.filter((_, n) => n !== tested && n !== validation);
  const training = others.flatMap((fold) => fold.flatMap(({ rows }) => rows));
  const held = folds[validation].flatMap(({ rows }) => rows);
  let best = { loss: Infinity };
  for (const inverse of INVERSE_STRENGTHS) {
    const fit = fitRows(data, training, inverse, { tolerance: ROUGH, start: best.start });
    const loss = measureHeldOutLoss(data, held, predictRows(data, fit, held));
    if (loss > best.loss) break; // and grows with every further one
    best = { inverse, loss, start: fit.fitted };
  }
  return best;
}

/** Return a C with which one example moves a logit by about one, whatever the features are. */
function guessInverse({ width }) {
  return 1 / width;
}

/** Cross-entropy, each class counting the same. */
function measureHeldOutLoss({ labels, classCount }, rows, probabilities) {
  const sums = new Float64Array(classCount), counts = new Float64Array(classCount);
  rows.forEach((row, n) => {
    sums[labels[row]] -= Math.log(Math.max(probabilities[n * classCount + labels[row]], 1e-15));
    counts[labels[row]] += 1;
  });
  return sums.reduce((sum, value, label) => sum + value / Math.max(counts[label], 1), 0);
}

/** Standardise some rows and fit the regression to them. */
function fitRows({ features, labels, classCount, width }, rows, inverse, options) {
  const { mean, scale, scaled } = standardiseRows(features, rows, width);
  const examples = { scaled, labels: rows.map((row) => labels[row]), classCount };
  return { mean, scale, fitted: fitRegression(examples, inverse, options) };
}

function predictRows({ features, classCount }, fit, rows) {
  return predictRegression(fit.fitted, scaleRows(features, rows, fit), classCount);
}

function findAnswers(probabilities, classCount) {
  return Array.from({ length: probabilities.length / classCount }, (_, n) => {
    const own = probabilities.subarray(n * classCount, (n + 1) * classCount);
    return own.indexOf(Math.max(...own));
  });
}

/**
 * Estimate an accuracy and its 95 % interval after Wilson (1927), as `emoclf.evaluation` does.
 *
 * @param {number[]} fractions what is right of each group
 */
export function estimateAccuracy(fractions) {
  const n = fractions.length, square = QUANTILE ** 2;
  const value = fractions.reduce((a, b) => a + b, 0) / n;
  const centre = (value + square / (2 * n)) / (1 + square / n);
  const variance = value * (1 - value) / n + square / (4 * n * n);
  const half = QUANTILE * Math.sqrt(variance) / (1 + square / n);
  const low = Math.max(0, Math.min(value, centre - half));
  return { value, low, high: Math.min(1, Math.max(value, centre + half)), n };
}

/** List what the learner should know of the examples. */
function listWarnings(classNames, counts, groups) {
  const warnings = [];
  counts.forEach((count, label) => {
    const name = classNames[label];
    if (count < FEW_EXAMPLES) warnings.push({ key: "warning_few", values: { name, count } });
    if (groups.filter((group) => group.label === label).length < 2) {
      warnings.push({ key: "warning_one_recording", values: { name } });
    }
  });
  const most = Math.max(...counts), least = Math.min(...counts);
  if (most > ONE_SIDED * least) {
    const [larger, smaller] = [most, least].map((count) => classNames[counts.indexOf(count)]);
    warnings.push({ key: "warning_one_sided", values: { larger, smaller, most, least } });
  }
  const count = groups.filter(({ isMixed }) => isMixed).length;
  if (count > 0) warnings.push({ key: "warning_two_classes", values: { count } });
  return warnings;
}
