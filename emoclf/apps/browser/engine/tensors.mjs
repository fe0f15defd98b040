// The operators of ONNX that need no speed, on plain tensors: {shape, data}, row by row.
// What is constant in a network is computed with them once, when it is loaded.

/** How many values a shape holds. */
function countValues(shape) {
  return shape.reduce((product, side) => product * side, 1);
}

/** Operator of ONNX -> function (inputs, attributes) -> tensor. An input left out is null. */
export const TENSOR_OPERATORS = {
  Cast: ([x]) => ({ shape: x.shape, data: new Float32Array(x.data) }),
  Identity: ([x]) => x,
  Relu: ([x]) => mapValues(x, (value) => Math.max(value, 0)),
  Sigmoid: ([x]) => mapValues(x, (value) => 1 / (1 + Math.exp(-value))),
  Clip: ([x, low, high]) => {
    const [least, most] = [low?.data[0] ?? -Infinity, high?.data[0] ?? Infinity];
    return mapValues(x, (value) => Math.min(Math.max(value, least), most));
  },
  Add: ([a, b]) => combineTensors(a, b, (x, y) => x + y),
  Sub: ([a, b]) => combineTensors(a, b, (x, y) => x - y),
  Mul: ([a, b]) => combineTensors(a, b, (x, y) => x * y),
  Div: ([a, b]) => combineTensors(a, b, (x, y) => x / y),
  Transpose: ([x], { perm }) => transposeTensor(x, perm ?? [...x.shape.keys()].reverse()),
  Reshape: ([x, shape]) => ({ shape: resolveShape(x, Array.from(shape.data)), data: x.data }),
  Flatten: ([x], { axis = 1 }) => {
    const rows = countValues(x.shape.slice(0, axis));
    return { shape: [rows, x.data.length / rows], data: x.data };
  },
  Squeeze: ([x, given], { axes }) => {
    const gone = readAxes(given, axes, x.shape.length) ?? x.shape.keys();
    const left = [...gone];
    return { shape: x.shape.filter((side, i) => !(left.includes(i) && side === 1)), data: x.data };
  },
  Unsqueeze: ([x, given], { axes }) => {
    const added = readAxes(given, axes, x.shape.length + (given?.data ?? axes).length);
    const shape = [...x.shape];
    for (const axis of [...added].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
    return { shape, data: x.data };
  },
  Pad: ([x, given], { mode = "constant" }) => {
    const pads = Array.from(given.data);
    const isOfZeros = mode === "constant" && pads.every((side) => side >= 0);
    if (x.shape.length !== 4 || !isOfZeros) throw new Error("This page pads with zeros alone.");
    return padTensor(x, pads);
  },
  MatMul: ([a, b]) => multiplyMatrices(a, b),
  Gemm: ([a, b, c], { transA = 0, transB = 0, alpha = 1, beta = 1 }) => {
    const left = transA ? transposeTensor(a, [1, 0]) : a;
    const product = multiplyMatrices(left, transB ? transposeTensor(b, [1, 0]) : b);
    const scaled = alpha === 1 ? product : mapValues(product, (value) => alpha * value);
    return c ? combineTensors(scaled, c, (x, y) => x + beta * y) : scaled;
  },
  Softmax: ([x]) => softmaxRows(x),
  GlobalAveragePool: ([x]) => averagePlaces(x),
  ReduceMean: ([x, given], { axes, keepdims = 1 }) => {
    const places = readAxes(given, axes, x.shape.length);
    if (x.shape.length !== 4 || String(places) !== "2,3") {
      throw new Error("This page averages over height and width alone (ReduceMean).");
    }
    const mean = averagePlaces(x);
    return keepdims ? mean : { shape: mean.shape.slice(0, 2), data: mean.data };
  },
  DequantizeLinear: ([x, scales, zeros], { axis = 1 }) => {
    const along = countValues(x.shape.slice(axis < 0 ? x.shape.length + axis + 1 : axis + 1));
    const data = new Float32Array(x.data.length);
    for (let i = 0; i < data.length; i++) {
      const row = scales.data.length === 1 ? 0 : Math.floor(i / along) % scales.data.length;
      data[i] = (x.data[i] - (zeros ? zeros.data[row] : 0)) * scales.data[row];
    }
    return { shape: x.shape, data };
  },
};

function mapValues(x, change) {
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = change(x.data[i]);
  return { shape: x.shape, data };
}

/** Combine two tensors value by value; sides of 1 are repeated, as in NumPy. */
function combineTensors(a, b, combine) {
  const rank = Math.max(a.shape.length, b.shape.length);
  const [first, second] = [a, b].map((x) => [...Array(rank - x.shape.length).fill(1), ...x.shape]);
  const shape = first.map((side, i) => Math.max(side, second[i]));
  if (shape.some((side, i) => ![1, side].includes(first[i]) || ![1, side].includes(second[i]))) {
    throw new Error(`Shapes ${a.shape} and ${b.shape} do not fit together.`);
  }
  const data = new Float32Array(countValues(shape));
  const [one, other] = [findPlaces(first, shape), findPlaces(second, shape)];
  for (let i = 0; i < data.length; i++) data[i] = combine(a.data[one(i)], b.data[other(i)]);
  return { shape, data };
}

/** Return a function from a place in a tensor of `shape` to that in the one which is repeated. */
function findPlaces(sides, shape) {
  const size = countValues(sides);
  if (size === countValues(shape)) return (i) => i;
  if (size === 1) return () => 0;
  const firsts = sides.findIndex((side) => side !== 1);
  let end = sides.length;
  while (sides[end - 1] === 1) end--;
  if (sides.slice(firsts, end).some((side, i) => side !== shape[firsts + i])) {
    throw new Error(`Shape ${sides} cannot be repeated to ${shape}.`);
  }
  const after = countValues(shape.slice(end));
  return (i) => Math.floor(i / after) % size;
}

/** Put the axes of a tensor into another order. */
export function transposeTensor(x, order) {
  const steps = x.shape.map((_, axis) => countValues(x.shape.slice(axis + 1)));
  const shape = order.map((axis) => x.shape[axis]);
  const data = new Float32Array(x.data.length);
  const place = shape.map(() => 0);
  for (let i = 0, from = 0; i < data.length; i++) {
    data[i] = x.data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[order[axis]];
      if (++place[axis] < shape[axis]) break;
      from -= steps[order[axis]] * shape[axis];
      place[axis] = 0;
    }
  }
  return { shape, data };
}

function resolveShape(x, wanted) {
  const shape = wanted.map((side, i) => (side === 0 ? x.shape[i] : side));
  const free = shape.indexOf(-1);
  if (free >= 0) shape[free] = Math.abs(x.data.length / countValues(shape));
  if (countValues(shape) !== x.data.length) throw new Error(`${x.shape} is no ${wanted}.`);
  return shape;
}

function readAxes(given, axes, rank) {
  const found = given ? Array.from(given.data) : axes;
  return found?.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Put zeros around the last two axes of four. */
function padTensor({ shape: [batch, channels, height, width], data }, pads) {
  const [top, left, bottom, right] = [pads[2], pads[3], pads[6], pads[7]];
  const shape = [batch, channels, height + top + bottom, width + left + right];
  const padded = new Float32Array(countValues(shape));
  for (let row = 0; row < channels * height; row++) {
    const line = Math.floor(row / height) * shape[2] + top + (row % height);
    padded.set(data.subarray(row * width, (row + 1) * width), line * shape[3] + left);
  }
  return { shape, data: padded };
}

/** Multiply (..., n) with (n, m). */
function multiplyMatrices(a, b) {
  const [inner, columns] = b.shape;
  if (b.shape.length !== 2 || a.shape.at(-1) !== inner) {
    throw new Error(`Matrices ${a.shape} and ${b.shape} cannot be multiplied.`);
  }
  const rows = a.data.length / inner;
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < inner; k++) {
      const factor = a.data[row * inner + k];
      for (let m = 0; m < columns; m++) data[row * columns + m] += factor * b.data[k * columns + m];
    }
  }
  return { shape: [...a.shape.slice(0, -1), columns], data };
}

/** Turn logits, an array of any kind, into probabilities that sum to 1. */
export function softmax(logits) {
  const most = Math.max(...logits);
  const values = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}

/** Softmax over the last axis. */
function softmaxRows(x) {
  const size = x.shape.at(-1);
  const data = new Float32Array(x.data.length);
  for (let start = 0; start < data.length; start += size) {
    data.set(softmax(x.data.subarray(start, start + size)), start);
  }
  return { shape: x.shape, data };
}

function averagePlaces(x) {
  const places = x.shape[2] * x.shape[3];
  const data = new Float32Array(x.shape[1]);
  for (let channel = 0; channel < data.length; channel++) {
    let sum = 0;
    for (let i = 0; i < places; i++) sum += x.data[channel * places + i];
    data[channel] = sum / places;
  }
  return { shape: [1, data.length, 1, 1], data };
}
