/** Resizes pictures as OpenCV does, to the grey level: a face may be found by one level only. */
import { roundHalfToEven } from "./pixels.mjs";

const LINEAR_STEPS = 2048;

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
  return scale < 1 ? shrinkPicture(picture, width, height) : enlargePicture(picture, width, height);
}

/** Shrink a picture to `width` x `height` pixels by averaging over all of them (INTER_AREA). */
export function shrinkPicture(picture, width, height) {
  const isHalf = picture.width === 2 * width && picture.height === 2 * height;
  if (isHalf) return halvePicture(picture, width, height);
  return resample(picture, weighAreas(picture.width, width), weighAreas(picture.height, height));
}

/** Average over squares of four pixels, halves rounded up. */
function halvePicture({ data, width: length }, width, height) {
  const halved = new Uint8Array(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let from = 6 * (y * length + x);
      for (let k = 0; k < 3; k++, from++) {
        const below = from + 3 * length;
        halved[to++] = (data[from] + data[from + 3] + data[below] + data[below + 3] + 2) >> 2;
      }
    }
  }
  return { width, height, data: halved };
}

/** Enlarge a picture by its nearest neighbours (INTER_LINEAR), in OpenCV's whole numbers. */
function enlargePicture(picture, width, height) {
  const across = findNeighbours(picture.width, width);
  const down = findNeighbours(picture.height, height);
  const length = 3 * width;
  const lines = [new Int32Array(length), new Int32Array(length)];
  const rows = [-1, -1];
  const data = new Uint8Array(length * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (const row of [down.first[y], down.second[y]]) {
      if (rows[row % 2] !== row) enlargeRow(picture, row, across, lines[row % 2]);
      rows[row % 2] = row;
    }
    const [upper, lower] = [lines[down.first[y] % 2], lines[down.second[y] % 2]];
    const share = down.shares[y];
    for (let i = 0; i < length; i++) {
      const above = ((LINEAR_STEPS - share) * (upper[i] >> 4)) >> 16;
      data[to++] = (above + ((share * (lower[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { width, height, data };
}

/** Write one row of a picture, enlarged, into `line`, in steps of 1 / 2048 grey levels. */
function enlargeRow({ data, width }, row, { first, second, shares }, line) {
  for (let x = 0, to = 0; x < first.length; x++) {
    const left = 3 * (row * width + first[x]);
    const right = 3 * (row * width + second[x]);
    for (let k = 0; k < 3; k++) {
      line[to++] = (LINEAR_STEPS - shares[x]) * data[left + k] + shares[x] * data[right + k];
    }
  }
}

/** Find the two neighbours of each point of a longer line, and the second one's share. */
function findNeighbours(length, count) {
  const [first, second] = [new Int32Array(count), new Int32Array(count)];
  const shares = new Int32Array(count);
  for (let index = 0; index < count; index++) {
    const at = Math.fround(((index + 0.5) * length) / count - 0.5);
    first[index] = Math.min(Math.max(Math.floor(at), 0), length - 1);
    second[index] = Math.min(first[index] + 1, length - 1);
    const isInside = at > 0 && at < length - 1;
    shares[index] = isInside ? roundHalfToEven((at - first[index]) * LINEAR_STEPS) : 0;
  }
  return { first, second, shares };
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

/** Return the cubic convolution kernel (Keys, 1981) at a distance of 0 to 2 pixels. */
export function weighCubic(sharpness, distance) {
  const [s, x] = [sharpness, distance];
  if (x < 1) return ((s + 2) * x - (s + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * s : 0;
}
