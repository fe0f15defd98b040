// From the graph of an ONNX file to the steps of a run: what is constant is computed once, and what
// follows a convolution (scale, shift, batch normalisation, ReLU) becomes part of it.
import { prepareConvolution } from "./maps.mjs";
import { readOnnx } from "./onnx.mjs";
import { TENSOR_OPERATORS } from "./tensors.mjs";

/** Operators that run on maps; all others on tensors. */
const MAPPED = ["Conv", "MaxPool", "Resize", "BatchNormalization"];

/**
 * Read an ONNX file, and keep its weights in the kernel's memory.
 *
 * @param {Uint8Array} bytes The file.
 * @param {Memory} memory The kernel's.
 * @returns {{inputs: Array, outputs: string[], constants: Map, steps: Array}} A step is {op,
 *   inputs, output, attributes, lastUses}; a convolution has its `layer`.
 */
export function simplifyGraph(bytes, memory) {
  const { nodes, constants, inputs, outputs } = readOnnx(bytes);
  const steps = fuseSteps(computeConstants(nodes, constants), constants, outputs);
  const mapped = new Set(steps.filter((each) => MAPPED.includes(each.op)).map((x) => x.output));
  for (const step of steps) {
    if (step.op === "Conv") {
      step.options.isPicture = !mapped.has(step.inputs[0]);
      step.layer = prepareConvolution(memory, step.weights, step.bias, step.options);
      Object.assign(step.layer, { low: step.low, high: step.high });
      step.inputs = step.inputs.slice(0, 1);
      delete step.weights;
    }
  }
  markLastUses(steps, outputs);
  const used = new Set(steps.flatMap((each) => each.inputs));
  const kept = new Map([...constants].filter(([name]) => used.has(name)));
  return { inputs, outputs, constants: kept, steps };
}

/** Compute what needs no picture, and return the steps that do. */
function computeConstants(nodes, constants) {
  const steps = [];
  for (const { op, inputs, outputs, attributes } of nodes) {
    if (op === "Constant") {
      constants.set(outputs[0], attributes.value);
    } else if (!(op in TENSOR_OPERATORS) && !MAPPED.includes(op)) {
      throw new Error(`This page cannot run the operator ${op} of ONNX.`);
    } else if (inputs.every((name) => !name || constants.has(name)) && !MAPPED.includes(op)) {
      const found = inputs.map((name) => constants.get(name) ?? null);
      constants.set(outputs[0], TENSOR_OPERATORS[op](found, attributes));
    } else {
      steps.push({ op, inputs, output: outputs[0], attributes, low: -Infinity, high: Infinity });
    }
  }
  return steps;
}

/** Draw into convolutions and sums what follows them, where nothing else sees what is between. */
function fuseSteps(steps, constants, outputs) {
  const gone = new Set();
  for (const step of steps) {
    if (gone.has(step)) continue;
    checkStep(step, constants);
    for (let next = findNext(step, steps, outputs); next; next = findNext(step, steps, outputs)) {
      if (!absorbStep(step, next, constants)) break;
      step.output = next.output;
      gone.add(next);
      next.inputs = [];
      if (step.isActivation) break;
    }
  }
  return steps.filter((each) => !gone.has(each));
}

function findNext(step, steps, outputs) {
  const users = steps.filter((each) => each.inputs.includes(step.output));
  return users.length === 1 && !outputs.includes(step.output) ? users[0] : null;
}

/** Refuse what the kernel cannot do, and collect a convolution's weights. */
function checkStep(step, constants) {
  const { op, attributes } = step;
  if (op === "Conv") {
    const [weights, bias] = step.inputs.slice(1).map((name) => constants.get(name));
    const { strides = [1, 1], pads = [0, 0, 0, 0], group = 1, dilations = [1, 1] } = attributes;
    const isUsual = !attributes.auto_pad || attributes.auto_pad === "NOTSET";
    if (!weights || !isUsual || strides[0] !== strides[1] || Math.max(...dilations) > 1) {
      throw new Error("This page cannot run such a convolution (dilated, or of uneven steps).");
    }
    step.options = { strides, pads, group };
    step.weights = { shape: weights.shape, data: new Float32Array(weights.data) };
    step.bias = new Float32Array(bias ? bias.data : weights.shape[0]);
  }
  const windows = [attributes.kernel_shape, attributes.strides].map(String);
  const isPadded = (attributes.pads ?? []).some((side) => side > 0) || attributes.ceil_mode;
  if (op === "MaxPool" && (windows.some((each) => each !== "2,2") || isPadded)) {
    throw new Error("This page takes the largest of 2 x 2 pixels alone (MaxPool).");
  }
  const scales = op === "Resize" ? constants.get(step.inputs[2])?.data ?? [] : [];
  if (op === "Resize" && (attributes.mode !== "nearest" || String([...scales]) !== "1,1,2,2")) {
    throw new Error("This page doubles a map's sides alone (Resize).");
  }
  if (op === "Resize") step.inputs = step.inputs.slice(0, 1);
}

/** Make the next step a part of this one; say whether that can be done. */
function absorbStep(step, next, constants) {
  const values = next.inputs.map((name) => constants.get(name));
  if (next.op === "Relu" || next.op === "Clip") {
    if (step.op !== "Conv" && !(step.op === "Add" && isOfMaps(step, constants))) return false;
    const [low, high] = next.op === "Relu" ? [0, Infinity] : values.slice(1).map((x) => x?.data[0]);
    Object.assign(step, { low: low ?? -Infinity, high: high ?? Infinity, isActivation: true });
    return true;
  }
  if (step.op !== "Conv") return false;
  if (next.op === "BatchNormalization") return absorbNormalisation(step, values, next.attributes);
  const constant = values.find(Boolean);
  const isShift = next.op === "Add";
  if (!constant || !(isShift || next.op === "Mul")) return false;
  const each = spreadOverResults(constant, step.weights.shape[0]);
  if (each && isShift) step.bias = step.bias.map((value, i) => value + each[i]);
  else if (each) scaleResults(step, each);
  return Boolean(each);
}

/** Whether both summands depend on the picture: then the sum is one of maps, and can be bounded. */
function isOfMaps(step, constants) {
  return step.inputs.every((name) => !constants.has(name));
}

function absorbNormalisation(step, [, scale, shift, mean, variance], { epsilon = 1e-5 }) {
  const factors = scale.data.map((value, i) => value / Math.sqrt(variance.data[i] + epsilon));
  scaleResults(step, factors);
  step.bias = step.bias.map((value, i) => value + shift.data[i] - mean.data[i] * factors[i]);
  return true;
}

function scaleResults(step, factors) {
  const { data } = step.weights;
  const size = data.length / factors.length;
  step.weights.data = data.map((value, i) => value * factors[Math.floor(i / size)]);
  step.bias = step.bias.map((value, i) => value * factors[i]);
}

/** Return one value a result from a constant of shape [], [1, results, 1, 1] or alike, or null. */
function spreadOverResults({ shape, data }, results) {
  if (data.length === 1) return new Float32Array(results).fill(data[0]);
  const isOfResults = data.length === results && shape.at(-3) === results;
  return isOfResults ? Float32Array.from(data) : null;
}

/** Write down after which step a value is not needed any more. */
function markLastUses(steps, outputs) {
  const seen = new Set(outputs);
  for (const step of [...steps].reverse()) {
    step.lastUses = [...new Set([...step.inputs, step.output])].filter((name) => !seen.has(name));
    step.lastUses.forEach((name) => seen.add(name));
  }
}
