/**
 * Finds faces in moving pictures: searches all of every k-th frame only, as `FaceTracker` does.
 *
 * In between each known face is looked for near its last place, which costs less and sees its tilt
 * better. A face that is lost makes it search the whole frame again.
 */
import { measureOverlap, sortFaces } from "./boxes.mjs";

const SEARCH_EVERY = 6;
const QUICK_SIDES = [320];
const THOROUGH_SIDES = [640, 192];
const MAX_FOLLOWED = 3;

/** A face that covers less of a known one than this is another face. */
export const MIN_COMMON = 0.3;

export class LiveDetector {
  /** @param {object} detector - A `FaceDetector`. */
  constructor(detector) {
    this.detector = detector;
    this.restart();
  }

  /** Forget all faces. */
  restart() {
    this.known = [];
    this.age = 0;
    this.searches = 0;
  }

  /** Find the faces in the next frame, the largest first. */
  find(picture) {
    const followed = this.followAll(picture);
    this.age = followed ? this.age + 1 : 1;
    this.known = followed ?? this.search(picture);
    return this.known;
  }

  /** Return the known faces in their new places; null where the whole frame has to be searched. */
  followAll(picture) {
    const count = this.known.length;
    if (!count || count > MAX_FOLLOWED || this.age >= SEARCH_EVERY) return null;
    const found = this.known.map((face) => this.detector.follow(face, picture));
    if (found.includes(null) || areDoubled(found)) return null;
    return sortFaces(found, picture);
  }

  /** Look at the whole frame, and once more from close at known faces that this does not show. */
  search(picture) {
    const isGroup = this.known.length > MAX_FOLLOWED;
    const isThorough = !this.known.length || isGroup || this.searches % 2 === 0;
    this.searches++;
    const seen = this.detector.glance(picture, isThorough ? THOROUGH_SIDES : QUICK_SIDES);
    const lost = this.known.filter((face) => !seen.some((each) => isSame(each, face)));
    const found = seen.flatMap((face, index) => this.lookAgain(face, picture, index));
    for (const face of lost.slice(0, MAX_FOLLOWED)) {
      const again = this.detector.follow(face, picture);
      if (again && !found.some((each) => isSame(each, again))) found.push(again);
    }
    return sortFaces(found, picture);
  }

  /** Return a face as it is seen from close: the largest ones, and new ones that may be none. */
  lookAgain(face, picture, index) {
    const { isPackaged } = this.detector;
    const isSure = !isPackaged || this.known.some((each) => isSame(each, face));
    if (index >= MAX_FOLLOWED && isSure) return [face];
    const again = this.detector.follow(face, picture);
    return again || !isPackaged ? [again ?? face] : [];
  }
}

function isSame(face, other) {
  return measureOverlap(face.box, other.box) >= MIN_COMMON;
}

/** Tell whether two known faces were found at one place. */
function areDoubled(faces) {
  return faces.some((face, i) => faces.slice(0, i).some((each) => isSame(each, face)));
}
