// A network from an ONNX file, run on one picture at a time.
import {
  addMaps, averageMap, convolveMap, copyMap, doubleMap, findPictureStride, makeMap, placeTensor,
  poolMap,
} from "./maps.mjs";
import { simplifyGraph } from "./simplifying.mjs";
import { TENSOR_OPERATORS, transposeTensor } from "./tensors.mjs";

/**
 * Load a network.
 *
 * @param {Memory} memory From `loadKernel`; several networks may share it.
 * @param {Uint8Array} bytes An ONNX file with one input, a picture (uint8 [1, height, width, 3] or
 *   float [1, 3, height, width], values 0 to 255).
 * @param {{swapChannels?: boolean}} options Whether the network expects blue, green, red.
 * @returns {Network}
 * @throws {Error} If the file is damaged, or has an operator that cannot be run here.
 */
export function loadNetwork(memory, bytes, { swapChannels = false } = {}) {
  return new Network(memory, simplifyGraph(bytes, memory), swapChannels);
}

class Network {
  constructor(memory, graph, swapChannels) {
    this.memory = memory;
    this.swapChannels = swapChannels;
    this.constants = graph.constants;
    this.steps = graph.steps;
    /** Names of what the network predicts. */
    this.outputs = graph.outputs;
    /** Names of the maps after a ReLU, from the first to the last. */
    this.maps = graph.steps.filter((each) => each.isActivation).map((each) => each.output);
    this.input = graph.inputs[0];
    this.isPlanar = this.input.shape[1] === 3;
    const sides = this.input.shape.slice(1, 3);
    const isFixed = !this.isPlanar && sides.every(Number.isFinite);
    /** [height, width] that the network takes, or null: a detector takes any, as in OpenCV. */
    this.inputShape = isFixed ? sides : null;
  }

  /** Return the name of the last value whose name contains a text, or null. */
  find(part) {
    return this.steps.findLast((each) => each.output.includes(part))?.output ?? null;
  }

  /**
   * Run the network.
   *
   * @param {Uint8Array | Float32Array} pixels height x width x 3 values (red, green, blue), 0 to
   *   255.
   * @param {number} height In pixels.
   * @param {number} width In pixels.
   * @param {string[]} wanted Names of the values to return.
   * @returns {Object<string, {shape: number[], data: Float32Array}>} By name; a map as [height,
   *   width, channels], all else without the batch's axis.
   * @throws {Error} If the picture has another size than the network takes.
   */
  run(pixels, height, width, wanted = this.outputs) {
    const [rows, columns] = this.inputShape ?? [height, width];
    if (rows !== height || columns !== width || pixels.length !== height * width * 3) {
      throw new Error(`The network takes ${rows} x ${columns} pixels, not ${height} x ${width}.`);
    }
    const values = new Map(this.constants);
    try {
      values.set(this.input.name, this.placePicture(pixels, height, width));
      for (const step of this.steps) {
        values.set(step.output, this.runStep(step, values));
        for (const name of step.lastUses) if (!wanted.includes(name)) this.drop(values, name);
      }
      return Object.fromEntries(wanted.map((name) => [name, this.copyOut(values.get(name))]));
    } finally {
      this.memory.giveAllBack();
    }
  }

  placePicture(pixels, height, width) {
    const [first, second, third] = this.swapChannels ? [2, 1, 0] : [0, 1, 2];
    const picture = this.isPlanar
      ? makeMap(this.memory, height, width, 3, findPictureStride(3))
      : { shape: [1, height, width, 3], data: new Float32Array(pixels.length) };
    const floats = picture.data ?? this.memory.floats.subarray(picture.address / 4);
    for (let i = 0; i < height * width * 3; i += 3) {
      floats[i] = pixels[i + first];
      floats[i + 1] = pixels[i + second];
      floats[i + 2] = pixels[i + third];
    }
    return picture;
  }

  runStep(step, values) {
    const found = step.inputs.map((name) => values.get(name) ?? null);
    const run = MAP_OPERATORS[step.op]?.(this.memory, found, step);
    if (run) return run;
    const tensors = found.map((each) => takeOut(this.memory, each));
    return TENSOR_OPERATORS[step.op](tensors, step.attributes);
  }

  copyOut(value) {
    if (value.address !== undefined) return copyMap(this.memory, value);
    return { shape: value.shape.slice(value.shape[0] === 1 ? 1 : 0), data: value.data };
  }

  drop(values, name) {
    const value = values.get(name);
    if (value?.address !== undefined) this.memory.giveBack(value.address);
    values.delete(name);
  }
}

/** Return a value as a tensor, whether it is one or a map. */
function takeOut(memory, value) {
  if (value?.address === undefined) return value;
  const { shape, data } = copyMap(memory, value);
  return transposeTensor({ shape: [1, ...shape], data }, [0, 3, 1, 2]);
}

/** Operators on maps: (memory, inputs, step) -> value, or undefined where tensors do it. */
const MAP_OPERATORS = {
  Conv: (memory, [x], step) => {
    if (x.stride === step.layer.stride) return convolveMap(memory, x, step.layer);
    const map = placeTensor(memory, takeOut(memory, x), step.layer.stride);
    const result = convolveMap(memory, map, step.layer);
    memory.giveBack(map.address);
    return result;
  },
  MaxPool: (memory, [x]) => {
    const map = x.address === undefined ? placeTensor(memory, x) : x;
    const result = poolMap(memory, map);
    if (map !== x) memory.giveBack(map.address);
    return result;
  },
  Resize: (memory, [x]) => doubleMap(memory, x),
  Add: (memory, [a, b], step) => {
    const areMaps = a.address !== undefined && b.address !== undefined;
    return areMaps && hasSameSize(a, b) ? addMaps(memory, a, b, step) : undefined;
  },
  GlobalAveragePool: (memory, [x]) => (x.address === undefined ? undefined : averageMap(memory, x)),
  Transpose: (memory, [x], { attributes }) => {
    if (x.address === undefined || String(attributes.perm) !== "0,2,3,1") return undefined;
    const { shape, data } = copyMap(memory, x);
    return { shape: [1, ...shape], data };
  },
};

function hasSameSize(a, b) {
  return a.height === b.height && a.width === b.width && a.channels === b.channels;
}
