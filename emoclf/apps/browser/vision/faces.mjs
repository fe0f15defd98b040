/**
 * Finds faces with YuNet, or with emoclf's own detector, which has its form: the same looks as
 * `YuNetDetector` of the package, whose file says why there are several.
 */
import { countTurns, dropDoubles, moveFace } from "./boxes.mjs";
import { measureOverlap, readFaces, sortFaces } from "./boxes.mjs";
import { cutSquare, mapSquare } from "./cropping.mjs";
import { copyRectangle, turnPicture } from "./pixels.mjs";
import { scaleToSide } from "./resizing.mjs";

const NEAR_SIDE = 640;
const NEAR_ENLARGEMENT = 2;
const CROWD_SIDE = 1280;
const SMALL_FACE = 32;
const FAR_SIDE = 192;
const LARGE_SIDE = 2048;
const UPRIGHT_SCORE = 0.91;
const MAX_UNSURE = 3;
const TURNED_SCORE = 0.84;
const TURN_GAIN = 0.02;
const TURNED_SIDE = 320;
const CLOSE_SIDE = 256;
const CLOSE_SHARE = 0.75;
const CANVAS_STRIDE = 32;
const MIN_CANVAS = 64;

export class FaceDetector {
  /**
   * @param {object} network - From `loadNetwork`, with `swapChannels`.
   * @param {boolean} isPackaged - Whether it is emoclf's own: what that does not see again from
   *   close is dropped.
   */
  constructor(network, isPackaged) {
    this.network = network;
    this.isPackaged = isPackaged;
  }

  /**
   * Find the faces in a photo.
   * @param {object} picture
   * @returns {object[]} Faces, the largest first, in pixels of the picture.
   */
  find(picture) {
    const base = scaleToSide(picture, CROWD_SIDE, 1);
    const found = this.scan(base, picture);
    const look = this.rememberLooks(picture);
    const faces = this.settle(found, picture, look);
    const turns = new Set(faces.slice(0, 1).map(countTurns).filter(Boolean));
    if (!turns.size && faces.every((face) => face.score < TURNED_SCORE)) {
      this.findTurns(base).forEach((each) => turns.add(each));
    }
    if (!turns.size) return faces;
    const turned = [...turns].flatMap((each) => this.scan(base, picture, each));
    return this.settle([...found, ...turned], picture, look);
  }

  /** Find a known face again near its place, in a small patch; null when it is not seen there. */
  follow(face, picture) {
    return this.lookClose(picture, face.box, countTurns(face));
  }

  /** Look at a whole picture quickly, its longest side brought to each of `sides` pixels. */
  glance(picture, sides) {
    const faces = sides.flatMap((side) => {
      const view = scaleToSide(picture, side, NEAR_ENLARGEMENT);
      return this.look(view).map((face) => moveFace(face, mapView(view, picture, 0)));
    });
    return sortFaces(dropDoubles(faces), picture);
  }

  rememberLooks(picture) {
    const known = new Map();
    return (box, turns) => {
      const key = `${box} ${turns}`;
      if (!known.has(key)) known.set(key, this.lookClose(picture, box, turns));
      return known.get(key);
    };
  }

  /** Look at found faces from close, the largest first; at some that are not sure turned, too. */
  settle(found, picture, look) {
    const faces = [];
    let unsure = 0;
    for (const face of sortFaces(dropDoubles(found), picture)) {
      const turns = countTurns(face);
      let best = look(face.box, turns) ?? face;
      if (best.score < UPRIGHT_SCORE && unsure < MAX_UNSURE) {
        unsure++;
        const needed = Math.max(TURNED_SCORE, best.score + TURN_GAIN);
        const others = [1, 2, 3].map((step) => look(face.box, (turns + step) % 4));
        best = findSurest(others.filter((each) => each && each.score > needed)) ?? best;
      }
      if (best !== face || !this.isPackaged) faces.push({ ...best, score: face.score });
    }
    return sortFaces(faces, picture);
  }

  /** Return by how many quarters a photo without a sure face is turned, where that is sure. */
  findTurns(base) {
    const small = scaleToSide(base, TURNED_SIDE, NEAR_ENLARGEMENT);
    const seen = [1, 2, 3].map((turns) => {
      const surest = findSurest(this.look(turnPicture(small, turns)));
      return { turns, score: surest?.score ?? 0 };
    });
    const surest = findSurest(seen);
    return surest.score >= TURNED_SCORE ? [surest.turns] : [];
  }

  /** Find a known face in its patch, which is cut out turned by quarters clockwise. */
  lookClose(picture, box, turns) {
    const side = Math.sqrt(box[2] * box[3]) / CLOSE_SHARE;
    const centre = [box[0] + box[2] / 2, box[1] + box[3] / 2];
    const square = { side, size: [CLOSE_SIDE, CLOSE_SIDE], roll: (turns * Math.PI) / 2 };
    const matrix = mapSquare(centre, square);
    const seen = this.look(cutSquare(picture, centre, square)).map((face) => moveFace(face, matrix));
    return findSurest(seen.filter((face) => measureOverlap(face.box, box) > 0.5)) ?? null;
  }

  /** Return the faces of the whole photo, looked at after turning it by quarters. */
  scan(base, picture, turns = 0) {
    const turned = turnPicture(base, turns);
    const near = scaleToSide(turned, NEAR_SIDE, NEAR_ENLARGEMENT);
    const smaller = near.data.length < turned.data.length ? near : turned;
    const lookAt = (view) => {
      const matrix = mapView(view, picture, turns);
      return this.look(view).map((face) => moveFace(face, matrix));
    };
    const found = [near, scaleToSide(smaller, FAR_SIDE, FAR_SIDE)].flatMap(lookAt);
    const longest = Math.max(picture.width, picture.height);
    const hasSmall = found.some(
      ({ box }) => (Math.sqrt(box[2] * box[3]) * NEAR_SIDE) / longest < SMALL_FACE,
    );
    const needsMore = longest > LARGE_SIDE || (longest > NEAR_SIDE && hasSmall);
    return needsMore ? [...found, ...lookAt(turned)] : found;
  }

  /** Return what the network finds in a picture, in its pixels. */
  look(picture) {
    const [width, height] = [picture.width, picture.height].map((side) =>
      Math.max(MIN_CANVAS, Math.ceil(side / CANVAS_STRIDE) * CANVAS_STRIDE),
    );
    const canvas = copyRectangle(picture, { left: 0, top: 0, width, height });
    return readFaces(this.network.run(canvas.data, height, width), width);
  }
}

/** Return the first of those with the highest score; undefined of none. */
function findSurest(found) {
  return found.reduce((best, each) => (best && best.score >= each.score ? best : each), undefined);
}

/** Return the matrix from a view, turned by quarters, to the photo, both from the corner. */
function mapView(view, picture, turns) {
  const square = { side: 1, size: [1, 1], roll: (turns * Math.PI) / 2 };
  const [a, b, c, d, e, f] = mapSquare([0.5, 0.5], square);
  const { width, height } = picture;
  return [
    ...[(width * a) / view.width, (width * b) / view.height, width * c],
    ...[(height * d) / view.width, (height * e) / view.height, height * f],
  ];
}
