/** Answers for a camera's frames: every face keeps its number, what is shown follows smoothly. */
import { measureOverlap } from "../vision/boxes.mjs";
import { MIN_COMMON } from "../vision/live.mjs";
import { decideAnswer } from "./answers.mjs";

const HALF_LIFE_SECONDS = 0.3;
const BOX_HALF_LIFE_SECONDS = 0.05;
const FORGET_AFTER_SECONDS = 0.7;

export class Tracker {
  constructor() {
    this.restart();
  }

  /** Forget all faces. */
  restart() {
    this.known = [];
    this.photo = null;
    this.count = 0;
  }

  /**
   * Average the answers for a frame with those before, older moments counting less.
   * @param {{faces: object[], photo: object|null}} found - The answers for one frame.
   * @param {number} seconds - When it was taken; does not fall.
   * @param {{face: object|null, photo: object|null}} rules - When answers are uncertain.
   * @returns {{faces: object[], photo: object|null}} Faces have an `id`, which they keep.
   */
  follow(found, seconds, rules) {
    const isRecent = (each) => seconds - each.seconds <= FORGET_AFTER_SECONDS;
    const known = this.known.filter(isRecent);
    const tracks = found.faces.map((face) => {
      const old = takeNearest(known, face.box);
      const weight = old ? weighNow(seconds - old.seconds, BOX_HALF_LIFE_SECONDS) : 1;
      const box = blend(old?.face.box ?? face.box, face.box, weight);
      const shown = { ...smoothAnswer(old, face, seconds, rules.face), box };
      return { face: { ...shown, id: old?.face.id ?? ++this.count }, place: face.box, seconds };
    });
    this.known = [...tracks, ...known];
    const before = this.photo && isRecent(this.photo) ? this.photo : undefined;
    const photo = found.photo && smoothAnswer(before, found.photo, seconds, rules.photo);
    this.photo = photo && { face: photo, seconds };
    return { faces: tracks.map((each) => each.face), photo };
  }
}

/** Take the known face that a box covers most out of a list; undefined when none is near. */
function takeNearest(known, box) {
  const overlaps = known.map((each) => measureOverlap(each.place, box));
  const best = overlaps.indexOf(Math.max(...overlaps));
  return best >= 0 && overlaps[best] >= MIN_COMMON ? known.splice(best, 1)[0] : undefined;
}

/** Average one answer with what was shown for the same face, and decide again. */
function smoothAnswer(old, now, seconds, rule) {
  if (!old) return now;
  const weight = weighNow(seconds - old.seconds, HALF_LIFE_SECONDS);
  const probabilities = blend(old.face.probabilities, now.probabilities, weight);
  const isKnown = typeof now.neither === "number" && typeof old.face.neither === "number";
  const neither = isKnown
    ? blend([old.face.neither], [now.neither], weight)[0]
    : (now.neither ?? null);
  const answer = decideAnswer(probabilities, neither, rule);
  return "neither" in now
    ? { ...now, probabilities, neither, answer }
    : { ...now, probabilities, answer };
}

/** Return how much the newest moment counts, 0 to 1. */
function weighNow(seconds, halfLife) {
  return 1 - 0.5 ** (seconds / halfLife);
}

function blend(old, now, weight) {
  return now.map((value, index) => (1 - weight) * old[index] + weight * value);
}
