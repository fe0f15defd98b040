/**
 * A multinomial logistic regression with L2, on standardised features, fitted by L-BFGS.
 *
 * It has the same minimum as scikit-learn's `LogisticRegression(C, class_weight="balanced")` after
 * a `StandardScaler`. As there, two classes share one column of weights.
 */

import { softmax } from "../engine/tensors.mjs";

/** How many steps a fit may take: enough for C = 1 on a thousand features. */
const MAX_FIT_STEPS = 500;
/** How many earlier steps tell L-BFGS the curvature (Liu and Nocedal, 1989). */
const KEPT_STEPS = 10;
const ROWS_AT_ONCE = 4;
/** A deviation of less is none: such a feature is constant. The smallest scale of a head file. */
export const SMALLEST_SCALE = 1e-9;

/**
 * Standardise some rows: to mean 0 and deviation 1, a constant feature to 0.
 *
 * @param {Float32Array} features of all examples, row by row
 * @param {number[]} rows which of them
 * @param {number} width features per row
 * @returns {{mean: Float32Array, scale: Float32Array, scaled: Float64Array}} `scaled` holds the
 *   rows in their order
 */
export function standardiseRows(features, rows, width) {
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  for (const row of rows) {
    for (let i = 0, at = row * width; i < width; i++, at++) mean[i] += features[at] / rows.length;
  }
  for (const row of rows) {
    for (let i = 0, at = row * width; i < width; i++, at++) {
      variance[i] += (features[at] - mean[i]) ** 2 / rows.length;
    }
  }
  const scale = Float32Array.from(variance, (value, i) => {
    const rounding = rows.length * Number.EPSILON; // of sums of equal numbers, as scikit-learn's
    const isConstant = value <= rounding * value + (rounding * mean[i]) ** 2;
    return isConstant || Math.sqrt(value) < SMALLEST_SCALE ? 1 : Math.sqrt(value);
  });
  const found = { mean: Float32Array.from(mean), scale };
  return { ...found, scaled: scaleRows(features, rows, found) };
}

/**
 * Apply what `standardiseRows` found to other rows.
 *
 * @returns {Float64Array} the rows in their order
 */
export function scaleRows(features, rows, { mean, scale }) {
  const width = mean.length;
  const scaled = new Float64Array(rows.length * width);
  rows.forEach((row, n) => {
    for (let i = 0, from = row * width, to = n * width; i < width; i++, from++, to++) {
      scaled[to] = (features[from] - mean[i]) / scale[i];
    }
  });
  return scaled;
}

/**
 * Fit the regression.
 *
 * @param {{scaled: Float64Array, labels: number[], classCount: number}} examples standardised
 *   features row by row, and the class of each row; every class has one
 * @param {number} inverse scikit-learn's C, the inverse of the regularisation strength
 * @param {{tolerance?: number, start?: Float64Array}} options when the gradient is small enough,
 *   and the columns to start from
 * @returns {Float64Array} per column the weights, then the bias; one column for two classes
 */
export function fitRegression(examples, inverse, { tolerance = 1e-5, start } = {}) {
  const { scaled, labels, classCount } = examples;
  const width = scaled.length / labels.length;
  const columns = classCount === 2 ? 1 : classCount;
  const problem = { ...examples, width, columns, inverse, importances: balanceClasses(examples) };
  const from = start ? start.slice() : new Float64Array(columns * (width + 1));
  return minimise((at, gradient) => measureLoss(problem, at, gradient), from, tolerance);
}

/** Weigh the examples so that every class counts the same. */
function balanceClasses({ labels, classCount }) {
  const counts = new Float64Array(classCount);
  for (const label of labels) counts[label] += 1;
  return Float64Array.from(labels, (label) => labels.length / (classCount * counts[label]));
}

/** Return the mean cross-entropy with the penalty, and write its gradient. */
function measureLoss(problem, at, gradient) {
  const { scaled, labels, classCount, width, columns, inverse, importances } = problem;
  const errors = new Float64Array(columns * ROWS_AT_ONCE);
  const count = labels.length; // also the sum of the importances
  const strength = 1 / (inverse * count);
  gradient.fill(0);
  let loss = 0;
  for (let first = 0; first < count; first += ROWS_AT_ONCE) {
    const rows = findRows(first, count, width);
    const logits = predictLogits(scaled, rows, at, columns, width);
    errors.fill(0);
    for (let n = first; n < Math.min(first + ROWS_AT_ONCE, count); n++) {
      const own = (n - first) * columns, weight = importances[n] / count;
      const probabilities = findProbabilities(logits.subarray(own, own + columns), classCount);
      loss -= weight * Math.log(Math.max(probabilities[labels[n]], 1e-300));
      for (let c = 0; c < columns; c++) {
        const label = columns === 1 ? 1 : c;
        errors[own + c] = weight * (probabilities[label] - (labels[n] === label));
      }
    }
    addRows(gradient, scaled, rows, errors, columns, width);
  }
  for (let i = 0; i < at.length; i++) {
    if (i % (width + 1) === width) continue; // the bias
    loss += strength * at[i] * at[i] / 2;
    gradient[i] += strength * at[i];
  }
  return loss;
}

/** Return where four rows begin; beyond the last one, the last again. */
function findRows(first, count, width) {
  return [0, 1, 2, 3].map((n) => Math.min(first + n, count - 1) * width);
}

/** Return the logits of four rows, row by row: together, so that no sum waits for another. */
function predictLogits(scaled, [row0, row1, row2, row3], at, columns, width) {
  const logits = new Float64Array(ROWS_AT_ONCE * columns);
  for (let c = 0, first = 0; c < columns; c++, first += width + 1) {
    const bias = at[first + width];
    let sum0 = bias, sum1 = bias, sum2 = bias, sum3 = bias;
    for (let i = 0; i < width; i++) {
      const weight = at[first + i];
      sum0 += weight * scaled[row0 + i];
      sum1 += weight * scaled[row1 + i];
      sum2 += weight * scaled[row2 + i];
      sum3 += weight * scaled[row3 + i];
    }
    [sum0, sum1, sum2, sum3].forEach((sum, n) => (logits[n * columns + c] = sum));
  }
  return logits;
}

/** Add four rows, each times its errors, to the gradient. */
function addRows(gradient, scaled, [row0, row1, row2, row3], errors, columns, width) {
  for (let c = 0, first = 0; c < columns; c++, first += width + 1) {
    const [error0, error1, error2, error3] = [0, 1, 2, 3].map((n) => errors[n * columns + c]);
    for (let i = 0; i < width; i++) {
      gradient[first + i] += error0 * scaled[row0 + i] + error1 * scaled[row1 + i]
        + error2 * scaled[row2 + i] + error3 * scaled[row3 + i];
    }
    gradient[first + width] += error0 + error1 + error2 + error3;
  }
}

/** Turn logits into probabilities; one logit speaks for the second of two classes. */
function findProbabilities(logits, classCount) {
  const all = logits.length < classCount ? [-logits[0] / 2, logits[0] / 2] : logits;
  return softmax(all);
}

/**
 * Return the probabilities of some standardised rows, row by row.
 *
 * @param {Float64Array} fitted from `fitRegression`
 */
export function predictRegression(fitted, scaled, classCount) {
  const columns = classCount === 2 ? 1 : classCount;
  const width = fitted.length / columns - 1;
  const count = scaled.length / width;
  const found = new Float64Array(count * classCount);
  for (let first = 0; first < count; first += ROWS_AT_ONCE) {
    const logits = predictLogits(scaled, findRows(first, count, width), fitted, columns, width);
    for (let n = first; n < Math.min(first + ROWS_AT_ONCE, count); n++) {
      const own = logits.subarray((n - first) * columns, (n - first + 1) * columns);
      found.set(findProbabilities(own, classCount), n * classCount);
    }
  }
  return found;
}

/** Return where a smooth convex function is smallest: `measure(at, gradient)` returns its value. */
function minimise(measure, start, tolerance) {
  let at = start, gradient = new Float64Array(start.length);
  let value = measure(at, gradient);
  const kept = [];
  for (let step = 0; step < MAX_FIT_STEPS; step++) {
    if (gradient.every((each) => Math.abs(each) < tolerance)) break;
    const direction = findDirection(gradient, kept);
    const next = searchLine(measure, { at, value, gradient }, direction);
    if (next === null) break;
    const move = next.at.map((each, i) => each - at[i]);
    const change = next.gradient.map((each, i) => each - gradient[i]);
    const curvature = multiplyVectors(move, change);
    const isCurved = curvature > 1e-12 * multiplyVectors(change, change); // else it is rounding
    if (isCurved) kept.push({ move, change, curvature });
    if (kept.length > KEPT_STEPS) kept.shift();
    ({ at, value, gradient } = next);
  }
  return at;
}

/** Return minus the gradient, turned by the curvature of the kept steps. */
function findDirection(gradient, kept) {
  const direction = gradient.map((each) => -each);
  const shares = [];
  for (const { move, change, curvature } of [...kept].reverse()) {
    const share = multiplyVectors(move, direction) / curvature;
    shares.push(share);
    addVector(direction, change, -share);
  }
  const last = kept.at(-1);
  const length = last
    ? last.curvature / multiplyVectors(last.change, last.change)
    : 1 / Math.max(1, Math.sqrt(multiplyVectors(gradient, gradient)));
  for (let i = 0; i < direction.length; i++) direction[i] *= length;
  for (const { move, change, curvature } of kept) {
    addVector(direction, move, shares.pop() - multiplyVectors(change, direction) / curvature);
  }
  return direction;
}

/** Go along a direction as far as the value falls enough; null where rounding is all there is. */
function searchLine(measure, { at, value, gradient }, direction) {
  const slope = multiplyVectors(gradient, direction);
  const next = new Float64Array(at.length);
  const found = new Float64Array(at.length);
  for (let size = 1; size > 1e-10; ) {
    for (let i = 0; i < at.length; i++) next[i] = at[i] + size * direction[i];
    const reached = measure(next, found);
    if (reached <= value + 1e-4 * size * slope) {
      return { at: next, value: reached, gradient: found };
    }
    const lowest = -slope * size * size / (2 * (reached - value - slope * size)); // of a parabola
    size = Math.min(Math.max(lowest, size / 10), size / 2);
  }
  return null;
}

function multiplyVectors(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addVector(target, other, factor) {
  for (let i = 0; i < target.length; i++) target[i] += factor * other[i];
}
