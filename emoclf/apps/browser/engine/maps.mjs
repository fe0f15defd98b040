// Maps in the kernel's memory, and the operators that run there.
// A map is {address, height, width, channels, stride}: rows of pixels of `stride` floats, of which
// the first `channels` count. In ONNX its shape is [1, channels, height, width].

const TILE = 8;
const SLACK_PIXELS = 16;

/** How many floats a pixel of a map takes: whole tiles, which the kernel writes. */
function findStride(channels) {
  return Math.ceil(channels / TILE) * TILE;
}

/** How many floats a pixel of a picture takes, which the kernel only reads. */
export function findPictureStride(channels) {
  return channels < 4 ? channels : findStride(channels);
}

/** Borrow memory for a map; the kernel writes a few pixels behind its end. */
export function makeMap(memory, height, width, channels, stride = findStride(channels)) {
  const address = memory.borrow(4 * stride * (height * width + SLACK_PIXELS));
  return { address, height, width, channels, stride };
}

/** Turn a tensor [1, channels, height, width] into a map. */
export function placeTensor(memory, { shape, data }, wanted) {
  const [batch, channels, height, width] = shape;
  if (shape.length !== 4 || batch !== 1) throw new Error(`A tensor of shape ${shape} is no map.`);
  const map = makeMap(memory, height, width, channels, wanted);
  const floats = memory.floats.subarray(map.address / 4);
  const places = height * width;
  floats.fill(0, 0, places * map.stride);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < places; i++) floats[i * map.stride + channel] = data[channel * places + i];
  }
  return map;
}

/** Copy a map's values out, as {shape: [height, width, channels], data}. */
export function copyMap(memory, map) {
  const { height, width, channels, stride } = map;
  const floats = memory.floats.subarray(map.address / 4);
  const data = new Float32Array(height * width * channels);
  for (let i = 0, to = 0; i < height * width; i++) {
    for (let channel = 0; channel < channels; channel++) data[to++] = floats[i * stride + channel];
  }
  return { shape: [height, width, channels], data };
}

/**
 * Bring the weights of a convolution into the kernel's memory, in its order.
 *
 * @param {Memory} memory
 * @param {{shape: number[], data: Float32Array}} weights [results, channels of a group, height,
 *   width].
 * @param {Float32Array} bias One a result.
 * @param {{strides: number[], pads: number[], group: number, isPicture: boolean}} options As in
 *   ONNX; and whether its input is a picture, or a tensor, and no other convolution's result.
 * @returns {object} What `convolveMap` takes.
 */
export function prepareConvolution(memory, weights, bias, { strides, pads, group, isPicture }) {
  const [results, depth, height, width] = weights.shape;
  const isDepthwise = group > 1;
  if (isDepthwise && (depth !== 1 || group !== results)) {
    throw new Error(`A convolution in ${group} groups cannot be run in this page.`);
  }
  const channels = isDepthwise ? results : depth;
  const isSlim = isPicture && !isDepthwise;
  const stride = isSlim ? findPictureStride(channels) : findStride(channels);
  const order = isDepthwise ? orderDepthwise(weights) : orderDense(weights, stride);
  const ending = new Float32Array(findStride(results));
  ending.set(bias);
  const [top, left, bottom, right] = pads;
  return {
    isDepthwise, stride, results, height, width, step: strides[0],
    pads: { top, left, bottom, right },
    weights: memory.keep(order), bias: memory.keep(ending), low: -Infinity, high: Infinity,
  };
}

/** Weights as the kernel's `convolve` reads them: tile, row, column, channel, eight results. */
function orderDense({ shape: [results, depth, height, width], data }, stride) {
  const tile = height * width * stride * TILE;
  const ordered = new Float32Array(Math.ceil(results / TILE) * tile);
  for (let result = 0, from = 0; result < results; result++) {
    const start = Math.floor(result / TILE) * tile + (result % TILE);
    for (let channel = 0; channel < depth; channel++) {
      for (let i = 0; i < height * width; i++) {
        ordered[start + (i * stride + channel) * TILE] = data[from++];
      }
    }
  }
  return ordered;
}

/** Weights as `convolve_depthwise` reads them: row, column, channel. */
function orderDepthwise({ shape: [results, , height, width], data }) {
  const stride = findStride(results);
  const ordered = new Float32Array(height * width * stride);
  for (let result = 0, from = 0; result < results; result++) {
    for (let i = 0; i < height * width; i++) ordered[i * stride + result] = data[from++];
  }
  return ordered;
}

/** Convolve a map; the result is a new one. */
export function convolveMap(memory, map, layer) {
  const { step, isDepthwise } = layer;
  const source = padMap(memory, map, layer.pads);
  const height = Math.floor((source.height - layer.height) / step) + 1;
  const width = Math.floor((source.width - layer.width) / step) + 1;
  if (height < 1 || width < 1) throw new Error("The picture is too small for this network.");
  const result = makeMap(memory, height, width, layer.results);
  const pixel = 4 * source.stride;
  const line = pixel * source.width;
  const ends = [layer.weights, layer.bias, layer.low, layer.high];
  if (isDepthwise) {
    memory.run.convolve_depthwise(source.address, line * step, pixel, step, line, layer.height,
      layer.width, result.address, height, width, ...ends);
  } else {
    const isFlat = layer.height === 1 && layer.width === 1 && step === 1;
    const [rows, columns] = isFlat ? [1, height * width] : [height, width];
    memory.run.convolve(source.address, line * step, pixel * step, layer.height,
      pixel * layer.width, line, result.address, 4 * result.stride, rows, columns,
      result.stride / TILE, ...ends);
  }
  if (source !== map) memory.giveBack(source.address);
  return result;
}

/** Return the map with a border of zeros, or itself where it needs none. */
function padMap(memory, map, { top, left, bottom, right }) {
  if (!(top || left || bottom || right)) return map;
  const height = map.height + top + bottom;
  const width = map.width + left + right;
  const padded = makeMap(memory, height, width, map.channels, map.stride);
  const floats = memory.floats;
  const [from, to, row] = [map.address / 4, padded.address / 4, map.width * map.stride];
  floats.fill(0, to, to + height * width * map.stride);
  for (let y = 0; y < map.height; y++) {
    const target = to + ((y + top) * width + left) * map.stride;
    floats.copyWithin(target, from + y * row, from + (y + 1) * row);
  }
  return padded;
}

/** Take the largest of each 2 x 2 pixels. */
export function poolMap(memory, map) {
  const [height, width] = [map.height >> 1, map.width >> 1];
  if (!height || !width) throw new Error("The picture is too small for this network.");
  const result = makeMap(memory, height, width, map.channels);
  const pixel = 4 * map.stride;
  memory.run.pool(map.address, pixel, pixel * map.width, result.address, height, width);
  return result;
}

/** Add two maps of one size. */
export function addMaps(memory, first, second, { low, high }) {
  const result = makeMap(memory, first.height, first.width, first.channels);
  const bytes = 4 * first.height * first.width * first.stride;
  memory.run.add(first.address, second.address, result.address, bytes, low, high);
  return result;
}

/** Make a map twice as high and wide; each pixel becomes four. */
export function doubleMap(memory, map) {
  const result = makeMap(memory, 2 * map.height, 2 * map.width, map.channels);
  const floats = memory.floats;
  const { stride } = map;
  const row = result.width * stride;
  for (let y = 0; y < map.height; y++) {
    const start = result.address / 4 + 2 * y * row;
    for (let x = 0; x < map.width; x++) {
      const from = map.address / 4 + (y * map.width + x) * stride;
      floats.copyWithin(start + 2 * x * stride, from, from + stride);
      floats.copyWithin(start + (2 * x + 1) * stride, from, from + stride);
    }
    floats.copyWithin(start + row, start, start + row);
  }
  return result;
}

/** Average a map over its places, as a tensor [1, channels, 1, 1]. */
export function averageMap(memory, map) {
  const places = map.height * map.width;
  const floats = memory.floats.subarray(map.address / 4);
  const sums = new Float64Array(map.channels);
  for (let i = 0; i < places; i++) {
    for (let channel = 0; channel < map.channels; channel++) {
      sums[channel] += floats[i * map.stride + channel];
    }
  }
  const data = Float32Array.from(sums, (sum) => sum / places);
  return { shape: [1, map.channels, 1, 1], data };
}
