/**
 * Which examples show the same picture, so that they must not stand on both sides of a test.
 *
 * Two are near-duplicates when their pictures agree, moved by a pixel or two at most, and the
 * network's features of them agree, too. The picture alone would take the same person with another
 * expression for a duplicate, and the features alone another person with the same one. Measured on
 * 190 photos with a face and 197 drawn ones, each saved again (JPEG 85), or moved by a pixel, and
 * its face found anew: 699 of 774 are seen as the same picture. Of 37,163 pairs of other faces none
 * is, nor of 98 pairs of one drawn person, once happy and once sad. As whole photos: 336 of 340,
 * and none of 7,125.
 */

const SKETCH_SIDE = 24, SKETCH_PIXELS = SKETCH_SIDE ** 2;
/** How far the same point lies from itself in a picture that is moved: the nearest first. */
const SKETCH_MOVES = [0, -1, 1, -SKETCH_SIDE, SKETCH_SIDE].flatMap((move, n) => {
  return n < 3 ? [move] : [move, move - 1, move + 1];
});
const COARSE_SIDE = 6, COARSE_PIXELS = COARSE_SIDE ** 2;
/** Pictures this alike agree: root mean square, where each has deviation 1. */
const LARGEST_PICTURE_DISTANCE = 0.4;
/**
 * Features this alike agree: their distance over the (geometric) mean of their lengths. A whole
 * photo's 1,303 move more when it is saved again; but its picture does not, as no face is cut out.
 */
const LARGEST_FACE_DISTANCE = 0.28, LARGEST_PHOTO_DISTANCE = 0.6;
const FACE_FEATURE_COUNT = 136;
/** Pictures whose 6 x 6 averages are further apart need no closer look: correlated below 0.75. */
const LARGEST_COARSE_DISTANCE = Math.sqrt(0.5);

/**
 * Make what a picture is compared by.
 *
 * @param {{width: number, height: number, data: Uint8Array}} thumbnail 48 x 48, RGB
 * @returns {{fine: Float32Array, coarse: Float32Array}} 24 x 24 grey levels of mean 0 and
 *   deviation 1, blurred; and 6 x 6 of mean 0 and length 1
 */
export function sketchPicture(thumbnail) {
  const size = thumbnail.width;
  const grey = new Float32Array(size * size);
  for (let i = 0; i < grey.length; i++) {
    const [red, green, blue] = thumbnail.data.subarray(3 * i, 3 * i + 3);
    grey[i] = 0.299 * red + 0.587 * green + 0.114 * blue;
  }
  const blurred = blurRows(blurRows(grey, size, 1, size), size, size, 1);
  const fine = averageBlocks(blurred, size, SKETCH_SIDE);
  const coarse = averageBlocks(fine, SKETCH_SIDE, COARSE_SIDE);
  // 2 grey levels more, so that the noise of an empty picture is not made large
  return { fine: normalisePicture(fine, 1, 2), coarse: normalisePicture(coarse, COARSE_SIDE, 0.1) };
}

/** Blur along one axis with 1, 2, 1: neighbours are `step` apart, lines `line`. */
function blurRows(grey, size, step, line) {
  const found = new Float32Array(grey.length);
  for (let row = 0; row < size; row++) {
    for (let i = 0; i < size; i++) {
      const at = row * line + i * step;
      const before = grey[i > 0 ? at - step : at], after = grey[i < size - 1 ? at + step : at];
      found[at] = (before + 2 * grey[at] + after) / 4;
    }
  }
  return found;
}

function averageBlocks(grey, size, side) {
  const found = new Float32Array(side * side);
  const block = size / side;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const to = Math.floor(y / block) * side + Math.floor(x / block);
      found[to] += grey[y * size + x] / (block * block);
    }
  }
  return found;
}

/** Return grey levels of mean 0 and of deviation `1 / root`, or less where `noise` is large. */
function normalisePicture(grey, root, noise) {
  const mean = grey.reduce((a, b) => a + b) / grey.length;
  const variance = grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length;
  return grey.map((value) => (value - mean) / ((Math.sqrt(variance) + noise) * root));
}

/**
 * Put examples into groups: those of one recording, and near-duplicates.
 *
 * @param {{recording: string, fine: Float32Array, coarse: Float32Array}[]} examples
 * @param {Float32Array} features row by row
 * @returns {number[]} the group of each example: the position of its first member
 */
export function findGroups(examples, features) {
  const width = features.length / examples.length;
  const limit = width > FACE_FEATURE_COUNT ? LARGEST_PHOTO_DISTANCE : LARGEST_FACE_DISTANCE;
  const lengths = examples.map((_, n) => measureLength(features, n * width, width));
  const parents = examples.map((_, n) => n);
  const first = new Map();
  examples.forEach(({ recording }, n) => {
    if (first.has(recording)) parents[n] = first.get(recording);
    else first.set(recording, n);
  });
  for (let a = 1; a < examples.length; a++) {
    for (let b = 0; b < a; b++) {
      if (!areCoarselyAlike(examples[a].coarse, examples[b].coarse)) continue;
      const roots = [findRoot(parents, a), findRoot(parents, b)];
      if (roots[0] === roots[1]) continue;
      const most = limit ** 2 * lengths[a] * lengths[b];
      if (!areFeaturesAlike(features, a * width, b * width, width, most)) continue;
      if (arePicturesAlike(examples[a].fine, examples[b].fine)) {
        parents[Math.max(...roots)] = Math.min(...roots);
      }
    }
  }
  return parents.map((_, n) => findRoot(parents, n));
}

function findRoot(parents, n) {
  while (parents[n] !== n) {
    parents[n] = parents[parents[n]];
    n = parents[n];
  }
  return n;
}

function measureLength(features, at, width) {
  let sum = 0;
  for (let i = at; i < at + width; i++) sum += features[i] * features[i];
  return Math.sqrt(sum);
}

function areCoarselyAlike(a, b) {
  let sum = 0;
  for (let i = 0; i < COARSE_PIXELS; i++) sum += (a[i] - b[i]) ** 2;
  return sum <= LARGEST_COARSE_DISTANCE ** 2;
}

/** Compare features; most pairs are told apart by the first hundred. */
function areFeaturesAlike(features, a, b, width, most) {
  let sum = 0;
  for (let from = 0; from < width && sum <= most; from += 64) {
    const end = Math.min(from + 64, width);
    for (let i = from; i < end; i++) sum += (features[a + i] - features[b + i]) ** 2;
  }
  return sum <= most;
}

/** Compare two pictures without their borders, one of them moved by up to one of 24 pixels. */
function arePicturesAlike(a, b) {
  for (const move of SKETCH_MOVES) {
    let sum = 0, count = 0;
    for (let row = SKETCH_SIDE; row < SKETCH_PIXELS - SKETCH_SIDE; row += SKETCH_SIDE) {
      for (let i = row + 1; i < row + SKETCH_SIDE - 1; i++, count++) {
        sum += (a[i] - b[i + move]) ** 2;
      }
    }
    if (sum <= count * LARGEST_PICTURE_DISTANCE ** 2) return true;
  }
  return false;
}
