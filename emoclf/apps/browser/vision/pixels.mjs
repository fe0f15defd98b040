/**
 * Pictures as arrays: from a canvas to RGB, resized, turned, cut.
 *
 * A picture is `{width, height, data}`, its data a Uint8Array of RGB values 0..255, three bytes a
 * pixel, row by row. What the package does with OpenCV is done here in the same way, so that the
 * same photo gets the same answer.
 */

/** Round to the nearest whole number, halves to the even one, as Python's `round` does. */
export function roundHalfToEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** Refuse what is no picture or has no pixel. */
export function checkPixels(length, width, height, channels) {
  const isSize = [width, height].every((side) => Number.isInteger(side) && side > 0);
  if (isSize && length === width * height * channels) return;
  throw new Error(
    `Expected ${channels} bytes a pixel and at least one pixel, received ${length} bytes for ` +
      `${width} x ${height} pixels.`,
  );
}

/**
 * Turn what a canvas hands out into a picture; what is transparent shows white.
 * @param {Uint8ClampedArray|Uint8Array} pixels - RGBA values 0..255, not premultiplied.
 * @param {number} width - In pixels.
 * @param {number} height - In pixels.
 * @returns {{width: number, height: number, data: Uint8Array}} RGB.
 */
export function dropAlpha(pixels, width, height) {
  checkPixels(pixels.length, width, height, 4);
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const alpha = pixels[from + 3];
    if (alpha === 255) {
      data[to] = pixels[from];
      data[to + 1] = pixels[from + 1];
      data[to + 2] = pixels[from + 2];
    } else {
      const white = 255 * (255 - alpha) + 127;
      for (let k = 0; k < 3; k++) data[to + k] = ((pixels[from + k] * alpha + white) / 255) | 0;
    }
  }
  return { width, height, data };
}

/**
 * Bring a picture's longest side to `side` pixels, its aspect kept, without aliasing.
 * @param {object} picture
 * @param {number} side - In pixels.
 * @param {number} maxEnlargement - A small picture is enlarged by this at most.
 * @returns {object} Another picture, or the same if it already has the size.
 */
export function scaleToSide(picture, side, maxEnlargement) {
  const scale = Math.min(side / Math.max(picture.height, picture.width), maxEnlargement);
  const [width, height] = [picture.width, picture.height].map((length) =>
    Math.max(1, roundHalfToEven(length * scale)),
  );
  if (width === picture.width && height === picture.height) return picture;
  const weigh = scale < 1 ? weighAreas : weighNeighbours;
  return resample(picture, weigh(picture.width, width), weigh(picture.height, height));
}

/** Shrink a picture to `width` x `height` pixels by averaging over all of them (INTER_AREA). */
export function shrinkPicture(picture, width, height) {
  return resample(picture, weighAreas(picture.width, width), weighAreas(picture.height, height));
}

/**
 * Make the table that `resample` needs: of which values each value of a shorter or longer line is
 * the weighted sum.
 * @param {number} count - Values of the new line.
 * @param {number} taps - Most values that one of them is made of.
 * @param {function(number): {start: number, weights: number[]}} describe - Where the values begin
 *   that make a new one, and what each of them counts.
 * @returns {{starts: Int32Array, counts: Int32Array, taps: number, weights: Float64Array}}
 */
export function tabulateWeights(count, taps, describe) {
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Float64Array(count * taps);
  for (let index = 0; index < count; index++) {
    const found = describe(index);
    starts[index] = found.start;
    counts[index] = found.weights.length;
    weights.set(found.weights, index * taps);
  }
  return { starts, counts, taps, weights };
}

/** Weigh each value of a line of `length` values by how much of the new value it covers. */
function weighAreas(length, count) {
  const step = length / count;
  return tabulateWeights(count, Math.ceil(step) + 2, (index) => {
    const [first, last] = [index * step, Math.min((index + 1) * step, length)];
    const start = Math.min(Math.floor(first + 1e-3), length - 1);
    const end = Math.max(start + 1, Math.ceil(last - 1e-3));
    const weights = [];
    for (let at = start; at < end; at++) {
      weights.push((Math.min(at + 1, last) - Math.max(at, first)) / (last - first));
    }
    return { start, weights };
  });
}

/** Weigh the two neighbours of each point of a longer line (INTER_LINEAR). */
function weighNeighbours(length, count) {
  const step = length / count;
  return tabulateWeights(count, 2, (index) => {
    const at = Math.min(Math.max((index + 0.5) * step - 0.5, 0), length - 1);
    const start = Math.min(Math.floor(at), Math.max(length - 2, 0));
    return { start, weights: length > 1 ? [1 - (at - start), at - start] : [1] };
  });
}

/**
 * Resize a picture, first along its rows, then along its columns.
 * @param {object} picture
 * @param {object} across - Table of the columns (`tabulateWeights`).
 * @param {object} down - Table of the rows.
 * @param {Function} Kind - Array in which a resized row waits: Float32Array keeps fractions.
 * @returns {object} A picture.
 */
export function resample(picture, across, down, Kind = Float32Array) {
  const [width, height] = [across.starts.length, down.starts.length];
  const length = 3 * width;
  const lines = Array.from({ length: down.taps }, () => new Kind(length));
  const rows = new Int32Array(down.taps).fill(-1);
  const sums = new Float32Array(length);
  const data = new Uint8ClampedArray(length * height);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let tap = 0; tap < down.counts[y]; tap++) {
      const row = down.starts[y] + tap;
      const line = lines[row % down.taps];
      if (rows[row % down.taps] !== row) resampleRow(picture, row, across, line);
      rows[row % down.taps] = row;
      const weight = down.weights[y * down.taps + tap];
      for (let i = 0; i < length; i++) sums[i] += weight * line[i];
    }
    data.set(sums, y * length);
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/** Write one row of a picture, resized, into `line`. */
function resampleRow(picture, row, across, line) {
  const { starts, counts, taps, weights } = across;
  const { data, width } = picture;
  for (let x = 0; x < starts.length; x++) {
    let red = 0;
    let green = 0;
    let blue = 0;
    let at = 3 * (row * width + starts[x]);
    const last = x * taps + counts[x];
    for (let tap = x * taps; tap < last; tap++, at += 3) {
      red += weights[tap] * data[at];
      green += weights[tap] * data[at + 1];
      blue += weights[tap] * data[at + 2];
    }
    line[3 * x] = red;
    line[3 * x + 1] = green;
    line[3 * x + 2] = blue;
  }
}

/** Turn a picture by quarters against the clock, as `np.rot90` does. */
export function turnPicture(picture, quarters) {
  const turns = ((quarters % 4) + 4) % 4;
  if (turns === 0) return picture;
  const { width, height } = picture;
  const size = turns === 2 ? { width, height } : { width: height, height: width };
  const data = new Uint8Array(picture.data.length);
  // where the upper left pixel comes from, and the steps to its right and lower neighbours
  const first = [0, width - 1, width * height - 1, width * (height - 1)][turns];
  const right = [1, width, -1, -width][turns];
  const lower = [width, -1, -width, 1][turns];
  for (let y = 0, to = 0; y < size.height; y++) {
    for (let x = 0, from = 3 * (first + y * lower); x < size.width; x++, from += 3 * right) {
      for (let k = 0; k < 3; k++) data[to++] = picture.data[from + k];
    }
  }
  return { ...size, data };
}

/**
 * Copy a rectangle of a picture, with black where it reaches past the right or lower border.
 * @param {object} picture
 * @param {{left: number, top: number, width: number, height: number}} place - In whole pixels;
 *   the upper left corner lies in the picture.
 * @returns {object} A picture.
 */
export function copyRectangle(picture, { left, top, width, height }) {
  const data = new Uint8Array(3 * width * height);
  const columns = Math.min(width, picture.width - left);
  for (let y = 0; y < Math.min(height, picture.height - top); y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * columns), 3 * y * width);
  }
  return { width, height, data };
}
