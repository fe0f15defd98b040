/** Cut a face out of a photo the way the faces of FER2013 were cut out, as `crop_face` does. */
import { copyRectangle, roundHalfToEven } from "./pixels.mjs";
import { resample, shrinkPicture, tabulateWeights, weighCubic } from "./resizing.mjs";

const MAX_TILT_DEGREES = 60;
const FACE_SHARE = 0.905;
const FACE_CENTRE = 0.507;
const MIN_EYE_DISTANCE = 0.2;
const MAX_OVERSAMPLING = 4;
const CUBIC_SHARPNESS = -0.75;

/**
 * Cut out one face, upright and placed as in FER2013.
 * @param {object} picture - The photo in which the face was found.
 * @param {object} face - `{box: [left, top, width, height], landmarks}` in its pixels.
 * @param {[number, number]} size - Height and width of the result in pixels.
 * @returns {object} A picture of that size.
 */
export function cropFace(picture, face, size) {
  const { centre, side, roll } = findSquare(face);
  return cutSquare(picture, centre, { side, size, roll });
}

/**
 * Measure how far a face is tilted, by the line through the eyes.
 * @returns {number} Degrees clockwise, -180 to 180; whole quarters in a profile, and where the
 *   eyes contradict the way from them to the mouth.
 */
export function measureRoll(face) {
  const marks = face.landmarks;
  if (!marks.every(Number.isFinite)) return 0;
  const left = (marks[6] + marks[8] - marks[0] - marks[2]) / 2;
  const down = (marks[7] + marks[9] - marks[1] - marks[3]) / 2;
  const quarters = 90 * roundHalfToEven(toDegrees(Math.atan2(-left, down)) / 90);
  const [across, lower] = [marks[2] - marks[0], marks[3] - marks[1]];
  const faceSide = Math.sqrt(face.box[2] * face.box[3]);
  const roll = toDegrees(Math.atan2(lower, across));
  const turn = roll - quarters;
  const isOdd = Math.abs(turn - 360 * roundHalfToEven(turn / 360)) > MAX_TILT_DEGREES;
  return Math.hypot(across, lower) < MIN_EYE_DISTANCE * faceSide || isOdd ? quarters : roll;
}

function toDegrees(radians) {
  return (radians * 180) / Math.PI;
}

/** Return the square to cut: centre [x, y] and side in pixels; its turn in radians, clockwise. */
export function findSquare(face) {
  const [left, top, width, height] = face.box;
  const side = Math.sqrt(width * height) / FACE_SHARE;
  const roll = (measureRoll(face) * Math.PI) / 180;
  const down = (0.5 - FACE_CENTRE) * side;
  const centre = [
    left + width / 2 - down * Math.sin(roll),
    top + height / 2 + down * Math.cos(roll),
  ];
  return { centre, side, roll };
}

/**
 * Say which point of the photo each point of a cut square shows, both counted from the corner.
 * @returns {number[]} [a, b, c, d, e, f]: the point (x, y) shows (ax + by + c, dx + ey + f).
 */
export function mapSquare(centre, { side, size, roll = 0 }) {
  const step = side / Math.min(...size);
  const [along, aside] = [step * Math.cos(roll), step * Math.sin(roll)];
  const [x, y] = [size[1] / 2, size[0] / 2];
  return [
    ...[along, -aside, centre[0] - along * x + aside * y],
    ...[aside, along, centre[1] - aside * x - along * y],
  ];
}

/**
 * Bring a square of a photo to a size; beyond the border the outermost pixels are repeated.
 *
 * Shrinking averages over all source pixels: in whole steps first, then by cutting out up to four
 * times as fine as needed and averaging that.
 * @param {object} picture
 * @param {[number, number]} centre - x and y of the square's centre, from the photo's corner.
 * @param {{side: number, size: [number, number], roll: number}} square - Side in pixels of the
 *   photo; height and width of the result, whose shorter side the square fills; turn in radians.
 * @returns {object} A picture.
 */
export function cutSquare(picture, centre, { side, size, roll = 0 }) {
  const [height, width] = size;
  const shorter = Math.min(height, width);
  const place = findPatch(picture, centre, (side * Math.max(height, width)) / shorter);
  let patch = copyRectangle(picture, place);
  const shrinkage = Math.max(1, Math.ceil(side / shorter / MAX_OVERSAMPLING));
  if (shrinkage > 1) {
    const inner = [patch.width, patch.height].map((length) =>
      Math.max(1, roundHalfToEven(length / shrinkage)),
    );
    patch = shrinkPicture(patch, ...inner);
  }
  const fine = Math.min(Math.max(1, Math.ceil(side / shrinkage / shorter)), MAX_OVERSAMPLING);
  const onPatch = [centre[0] - place.left, centre[1] - place.top];
  const matrix = mapSquare(onPatch, { side, size: [height * fine, width * fine], roll });
  const scales = [patch.width / place.width, patch.height / place.height];
  const mapped = centrePixels(matrix.map((value, i) => value * scales[i < 3 ? 0 : 1]));
  if (fine === 1) return warpCubic(patch, mapped, width, height);
  return shrinkPicture(warpLinear(patch, mapped, width * fine, height * fine), width, height);
}

/** Return the part of the photo that a turned square can reach, in whole pixels. */
function findPatch(picture, centre, side) {
  const reach = side / Math.SQRT2 + 2;
  const [[left, right], [top, bottom]] = [picture.width, picture.height].map((limit, axis) => {
    const first = Math.trunc(Math.min(Math.max(centre[axis] - reach, 0), limit - 1));
    return [first, Math.min(Math.max(Math.ceil(centre[axis] + reach), first + 1), limit)];
  });
  return { left, top, width: right - left, height: bottom - top };
}

/** Let a matrix map from and to the centres of pixels instead of their corners. */
function centrePixels([a, b, c, d, e, f]) {
  return [a, b, c + (a + b) / 2 - 0.5, d, e, f + (d + e) / 2 - 0.5];
}

function clampIndex(index, length) {
  return index < 0 ? 0 : index >= length ? length - 1 : index;
}

/** Let every pixel of the result show the point that the matrix says, from its four neighbours. */
function warpLinear(picture, [a, b, c, d, e, f], width, height) {
  const { data } = picture;
  const found = new Uint8ClampedArray(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const atX = a * x + b * y + c;
      const atY = d * x + e * y + f;
      const left = Math.floor(atX);
      const top = Math.floor(atY);
      const u = atX - left;
      const v = atY - top;
      const near = 3 * clampIndex(left, picture.width);
      const far = 3 * clampIndex(left + 1, picture.width);
      const upper = 3 * picture.width * clampIndex(top, picture.height);
      const lower = 3 * picture.width * clampIndex(top + 1, picture.height);
      for (let k = 0; k < 3; k++) {
        const above = data[upper + near + k] * (1 - u) + data[upper + far + k] * u;
        const below = data[lower + near + k] * (1 - u) + data[lower + far + k] * u;
        found[to++] = above + (below - above) * v;
      }
    }
  }
  return { width, height, data: new Uint8Array(found.buffer) };
}

/** Likewise from sixteen neighbours (INTER_CUBIC); quicker where the result is not turned. */
function warpCubic(picture, [a, b, c, d, e, f], width, height) {
  if (b === 0 && d === 0) {
    const across = tabulateWeights(width, 4, (x) => weighFour(a * x + c, picture.width));
    const down = tabulateWeights(height, 4, (y) => weighFour(e * y + f, picture.height));
    return resample(picture, across, down);
  }
  const found = new Uint8ClampedArray(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const across = weighFour(a * x + b * y + c, picture.width);
      const down = weighFour(d * x + e * y + f, picture.height);
      addNeighbours(picture, across, down, found, to);
    }
  }
  return { width, height, data: new Uint8Array(found.buffer) };
}

/** Write the weighted sum of neighbours as one pixel. */
function addNeighbours({ data, width }, across, down, found, to) {
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let j = 0; j < down.weights.length; j++) {
    let at = 3 * ((down.start + j) * width + across.start);
    for (let i = 0; i < across.weights.length; i++, at += 3) {
      const weight = down.weights[j] * across.weights[i];
      red += weight * data[at];
      green += weight * data[at + 1];
      blue += weight * data[at + 2];
    }
  }
  found[to] = red;
  found[to + 1] = green;
  found[to + 2] = blue;
}

/** Weigh the four neighbours of a point on a line, whose ends are repeated. */
function weighFour(point, length) {
  const first = Math.floor(point) - 1;
  const start = clampIndex(first, length);
  const weights = new Array(clampIndex(first + 3, length) - start + 1).fill(0);
  for (let tap = first; tap < first + 4; tap++) {
    weights[clampIndex(tap, length) - start] += weighCubic(CUBIC_SHARPNESS, Math.abs(point - tap));
  }
  return { start, weights };
}
