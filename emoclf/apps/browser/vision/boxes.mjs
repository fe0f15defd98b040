/** Faces as a detector finds them: read from its outputs, moved between pictures, sorted. */
import { roundHalfToEven } from "./pixels.mjs";
import { measureRoll } from "./cropping.mjs";

/** Boxes below this score are dropped: most of those show drawings, hands or nothing. */
const MIN_SCORE = 0.7;

const MAX_OVERLAP = 0.3;
const STRIDES = [8, 16, 32];

/** Return intersection over union of two boxes [left, top, width, height]: 0 to 1, the same. */
export function measureOverlap(first, second) {
  const [width, height] = [0, 1].map((axis) => {
    const end = Math.min(first[axis] + first[axis + 2], second[axis] + second[axis + 2]);
    return Math.max(0, end - Math.max(first[axis], second[axis]));
  });
  const both = first[2] * first[3] + second[2] * second[3];
  return both > 0 ? (width * height) / (both - width * height) : 1;
}

/** Return by how many quarters clockwise a face is turned, 0 to 3. */
export function countTurns(face) {
  return (roundHalfToEven(measureRoll(face) / 90) + 4) % 4;
}

/** Put the largest face first and drop what cannot be a face of this picture. */
export function sortFaces(faces, picture) {
  const limits = [picture.width, picture.height];
  const isPossible = ({ box }) =>
    box.every(Number.isFinite) &&
    Math.min(box[2], box[3]) > 0 &&
    limits.every((limit, axis) => {
      const middle = box[axis] + box[axis + 2] / 2;
      return middle >= 0 && middle <= limit;
    });
  const measureArea = ({ box }) => box[2] * box[3];
  return faces
    .filter(isPossible)
    .sort((a, b) => measureArea(b) - measureArea(a) || b.score - a.score);
}

/**
 * Keep of overlapping faces only the surest, the surest first.
 * @param {object[]} faces - Those that are not sure enough go, too.
 * @param {function(object): number[]} findBox - The box of a face that is compared.
 * @returns {object[]}
 */
export function dropDoubles(faces, findBox = (face) => face.box) {
  const kept = [];
  for (const face of [...faces].sort((a, b) => b.score - a.score)) {
    const measure = (each) => measureOverlap(findBox(each), findBox(face));
    const isDouble = kept.some((each) => measure(each) > MAX_OVERLAP);
    if (face.score > MIN_SCORE && !isDouble) kept.push(face);
  }
  return kept;
}

/** Bring a face, found in a picture, to where a matrix (`mapSquare`) says that its points lie. */
export function moveFace(face, [a, b, c, d, e, f]) {
  const [left, top, width, height] = face.box;
  const [x, y] = [a * left + b * top + c, d * left + e * top + f];
  const [across, down] = [a * width + b * height, d * width + e * height];
  const box = [Math.min(x, x + across), Math.min(y, y + down), Math.abs(across), Math.abs(down)];
  const landmarks = face.landmarks.map((value, i, marks) =>
    i % 2 ? d * marks[i - 1] + e * value + f : a * value + b * marks[i + 1] + c,
  );
  return { ...face, box, landmarks };
}

/**
 * Read a detector's outputs as `cv2.FaceDetectorYN` does.
 * @param {object} outputs - Of the network: `cls_8`, `obj_8`, `bbox_8`, `kps_8` and likewise for
 *   the strides 16 and 32, each `{data}` with one row per cell.
 * @param {number} width - Of the picture that the network was given, in pixels.
 * @returns {object[]} Faces in pixels of that picture, without doubles.
 */
export function readFaces(outputs, width) {
  const found = STRIDES.flatMap((stride) => readCells(outputs, stride, width / stride));
  const truncate = (face) => face.box.map(Math.trunc);
  const faces = found.length > 1 ? dropDoubles(found, truncate) : found;
  return faces.filter((face) => [...face.box, ...face.landmarks].every(Number.isFinite));
}

/** Read the cells of one stride, a grid with so many columns. */
function readCells(outputs, stride, columns) {
  const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map(
    (part) => outputs[`${part}_${stride}`].data,
  );
  const faces = [];
  for (let cell = 0; cell < cls.length; cell++) {
    const score = Math.sqrt(clampScore(cls[cell]) * clampScore(obj[cell]));
    if (score < MIN_SCORE) continue;
    const origin = [cell % columns, Math.floor(cell / columns)];
    const middle = origin.map((place, axis) => (place + bbox[4 * cell + axis]) * stride);
    const size = [2, 3].map((at) => Math.exp(bbox[4 * cell + at]) * stride);
    const box = [middle[0] - size[0] / 2, middle[1] - size[1] / 2, ...size];
    const marks = kps.subarray(10 * cell, 10 * cell + 10);
    const landmarks = Float64Array.from(marks, (value, i) => (value + origin[i % 2]) * stride);
    faces.push({ box, score, landmarks });
  }
  return faces;
}

function clampScore(score) {
  return Math.min(Math.max(score, 0), 1);
}
