/** The networks of a page and how they answer: for faces, for whole photos, or for both. */
import { cropFace } from "../vision/cropping.mjs";
import { resizePhoto } from "../vision/preparing.mjs";
import {
  MAX_FACES,
  answerByHead,
  calibrateLogits,
  decideAnswer,
  summariseFaces,
} from "./answers.mjs";

/** Height and width in pixels of what the packaged networks are shown. */
export const FACE_SIZE = [48, 48];
const SCENE_SIZE = [224, 224];

const FEATURE_LAYER = "average_over_face";

export class Answerer {
  /**
   * @param {{face, scene, network}} networks - From `loadNetwork`; those that the page has.
   * @param {object|null} head - Of the packaged joint network (`readPackedHead`).
   * @param {object} info - What the page says of its networks.
   */
  constructor(networks, head, info) {
    Object.assign(this, { ...networks, head, info });
    this.featureLayer = this.face?.find(FEATURE_LAYER) ?? null;
    const { face, joint, kind } = info;
    /** When the answer for a face, or for the photo, is uncertain; null never. */
    this.faceRule = kind === "run" && info.input.crop === "face" ? null : face;
    this.photoRule = joint && joint.uncertainBelow !== null ? joint : null;
  }

  /** Which features a head can learn from. */
  get featureKinds() {
    if (!this.featureLayer || !this.info.detector) return [];
    return this.scene ? ["face", "joint"] : ["face"];
  }

  /**
   * Answer for a photo, and for each of its faces.
   * @param {object} picture
   * @param {object[]} faces - The largest first.
   * @param {Float32Array|null} scene - Features of the photo, where they are known.
   * @returns {{faces: object[], photo: object|null}} Each with `probabilities` and `answer`.
   */
  answer(picture, faces, scene = null) {
    const { crop } = this.info.input;
    if (crop === "none") return { faces: [], photo: this.answerForWhole(picture) };
    if (crop === "face" && this.network) {
      return { faces: faces.map((face) => this.answerForCrop(picture, face)), photo: null };
    }
    const logits = faces.map((face) => this.lookAtFace(picture, face).logits);
    const found = faces.map((face, i) => this.judgeFace(face, logits[i]));
    if (crop === "face") return { faces: found, photo: null };
    const features = this.joinFeatures(picture, faces, logits, scene);
    return { faces: found, photo: this.judgePhoto(answerByHead(this.head, features)) };
  }

  /** Compute the features that a head learns from: "face" of the first face, "joint" of all. */
  findFeatures(kind, picture, faces, scene = null) {
    if (kind === "face") return this.lookAtFace(picture, faces[0]).features;
    const logits = faces.slice(0, MAX_FACES).map((face) => this.lookAtFace(picture, face).logits);
    return this.joinFeatures(picture, faces, logits, scene);
  }

  /** Compute the 1,280 features of a photo as a whole. */
  findSceneFeatures(picture) {
    return runOnPicture(this.scene, resizePhoto(picture, SCENE_SIZE, "pad"))[0];
  }

  answerForWhole(picture) {
    const { size, resize } = this.info.input;
    const [probabilities] = runOnPicture(this.network, resizePhoto(picture, size, resize));
    return this.judgePhoto(Array.from(probabilities));
  }

  answerForCrop(picture, face) {
    const crop = cropFace(picture, face, this.info.input.size);
    const probabilities = Array.from(runOnPicture(this.network, crop)[0]);
    const answer = decideAnswer(probabilities, null, this.faceRule);
    return { box: face.box, score: face.score, probabilities, neither: null, answer };
  }

  judgeFace(face, logits) {
    const { probabilities, neither } = calibrateLogits(logits, this.info.face);
    const answer = decideAnswer(probabilities, neither, this.faceRule);
    return { box: face.box, score: face.score, probabilities, neither, answer };
  }

  judgePhoto(probabilities) {
    return { probabilities, answer: decideAnswer(probabilities, null, this.photoRule) };
  }

  /** Run the packaged face network: logits of the emotions, and the features below them. */
  lookAtFace(picture, face) {
    const wanted = [this.face.outputs[0], this.featureLayer];
    const crop = cropFace(picture, face, FACE_SIZE);
    const [logits, features] = runOnPicture(this.face, crop, wanted);
    return { logits, features };
  }

  /** Put the features of scene and faces together: 1,303 numbers. */
  joinFeatures(picture, faces, logits, scene) {
    const area = picture.width * picture.height;
    const sizes = faces.slice(0, MAX_FACES).map(({ box }) => packSize((box[2] * box[3]) / area));
    const ofFaces = summariseFaces(logits.slice(0, MAX_FACES), sizes);
    return Float32Array.from([...(scene ?? this.findSceneFeatures(picture)), ...ofFaces]);
  }
}

/** Run a network on a picture of its size; return the data of the wanted values. */
export function runOnPicture(network, picture, wanted = network.outputs.slice(0, 1)) {
  const found = network.run(picture.data, picture.height, picture.width, wanted);
  return wanted.map((name) => found[name].data);
}

/** Round the root of a face's fraction of the photo as a sheet shows it: to a grey of 1 to 255. */
function packSize(fraction) {
  return Math.min(Math.max(Math.round(255 * Math.sqrt(fraction)), 1), 255) / 255;
}
