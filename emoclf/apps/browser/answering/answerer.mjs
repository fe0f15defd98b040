/** The networks of a page and how they answer: for faces, for whole photos, or for both. */
import { predictHead } from "../teaching/head.mjs";
import { cropFace } from "../vision/cropping.mjs";
import { resizePhoto } from "../vision/preparing.mjs";
import { FACE_CLASS_NAMES, MAX_FACES } from "./answers.mjs";
import { calibrateLogits, decideAnswer, summariseFaces } from "./answers.mjs";

const CROP_SIZE = [48, 48];
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
    /** The learner's head, where that answers; null for the built-in answer. */
    this.own = null;
  }

  /** Which features a head can learn from. */
  get featureKinds() {
    if (!this.info.canTeach || !this.featureLayer || !this.info.detector) return [];
    return this.scene ? ["face", "joint"] : ["face"];
  }

  get classNames() {
    return this.own?.classNames ?? this.info.classNames;
  }

  /** The classes of faces: others than the photo's where the packaged network answers for them. */
  get faceClassNames() {
    if (this.own?.features === "face") return this.own.classNames;
    return this.answersByRun ? this.info.classNames : FACE_CLASS_NAMES;
  }

  /** When the answers for a face and for the photo are uncertain; null never. */
  get rules() {
    const { face, joint } = this.info;
    const ofPhoto = joint?.uncertainBelow == null ? null : joint;
    if (this.own?.features === "face") return { face: this.own, photo: null };
    return { face: this.answersByRun ? null : face, photo: this.own ?? ofPhoto };
  }

  /** Whether features of the whole photo are needed to answer. */
  get needsScene() {
    return this.own ? this.own.features === "joint" : this.info.input.crop === "both";
  }

  /** Whether a run's own network answers for what it is shown, not the packaged face network. */
  get answersByRun() {
    return Boolean(this.network) && !this.own;
  }

  /**
   * Answer for a photo, and for each of its faces.
   * @param {object} picture
   * @param {object[]} faces - The largest first.
   * @param {Float32Array|null} scene - Features of the photo, where they are known.
   * @returns {{faces: object[], photo: object|null}} Each with `probabilities` and `answer`.
   */
  answer(picture, faces, scene = null) {
    if (this.info.input.crop === "none" && !this.own) {
      return { faces: [], photo: this.judgePhoto(this.predictCrop(this.cropWhole(picture))) };
    }
    const seen = faces.map((face) => this.predictCrop(this.cropOne(picture, face)));
    const found = faces.map((face, index) => this.judgeFace(face, seen[index]));
    if (!this.needsScene) return { faces: found, photo: null };
    const logits = seen.slice(0, MAX_FACES).map((each) => each.logits);
    const features = this.joinFeatures(picture, faces, logits, scene);
    return { faces: found, photo: this.judgePhoto(this.predictJoint(features)) };
  }

  /** Cut a face out for the network that answers for faces. */
  cropOne(picture, face) {
    const size = this.answersByRun ? this.info.input.size : CROP_SIZE;
    return cropFace(picture, face, size);
  }

  /** Bring a whole photo to the size of the network that answers for photos. */
  cropWhole(picture) {
    if (this.needsScene) return resizePhoto(picture, SCENE_SIZE, "pad");
    return resizePhoto(picture, this.info.input.size, this.info.input.resize);
  }

  /** Say what is in a crop: probabilities of its classes, and what else the network tells. */
  predictCrop(crop) {
    if (this.answersByRun) {
      return { probabilities: Array.from(runOnPicture(this.network, crop)[0]), neither: null };
    }
    const { logits, features } = this.lookAtFace(crop);
    if (this.own?.features === "face") {
      return { probabilities: Array.from(predictHead(this.own, features)), neither: null };
    }
    return { ...calibrateLogits(logits, this.info.face), logits };
  }

  /** Say what the joint head, the learner's or the built-in one, makes of 1,303 features. */
  predictJoint(features) {
    return { probabilities: Array.from(predictHead(this.own ?? this.head, features)) };
  }

  judgeFace({ box, score }, { probabilities, neither }) {
    const answer = decideAnswer(probabilities, neither, this.rules.face);
    return { box, score, probabilities, neither, answer };
  }

  judgePhoto({ probabilities }) {
    return { probabilities, answer: decideAnswer(probabilities, null, this.rules.photo) };
  }

  /** Compute what a head learns from: "face" of the first face, "joint" of all and the scene. */
  findFeatures(kind, picture, faces) {
    const shown = faces.slice(0, kind === "face" ? 1 : MAX_FACES);
    const seen = shown.map((face) => this.lookAtFace(cropFace(picture, face, CROP_SIZE)));
    if (kind === "face") return seen[0].features;
    return this.joinFeatures(picture, faces, seen.map((each) => each.logits), null);
  }

  /** Compute the 1,280 features of a photo as a whole. */
  findSceneFeatures(picture) {
    return runOnPicture(this.scene, resizePhoto(picture, SCENE_SIZE, "pad"))[0];
  }

  /** Run the packaged face network: logits of the emotions, and the features below them. */
  lookAtFace(crop) {
    const wanted = [this.face.outputs[0], this.featureLayer];
    const [logits, features] = runOnPicture(this.face, crop, wanted);
    return { logits, features };
  }

  /** Put the features of scene and faces together: 1,303 numbers. */
  joinFeatures(picture, faces, logits, scene) {
    const area = picture.width * picture.height;
    const sizes = faces.slice(0, MAX_FACES).map(({ box }) => packSize((box[2] * box[3]) / area));
    const ofFaces = summariseFaces(logits, sizes);
    return Float32Array.from([...(scene ?? this.findSceneFeatures(picture)), ...ofFaces]);
  }
}

/** Run a network on a picture of its size; return the data of the wanted values. */
function runOnPicture(network, picture, wanted = network.outputs.slice(0, 1)) {
  const found = network.run(picture.data, picture.height, picture.width, wanted);
  return wanted.map((name) => found[name].data);
}

/** Round the root of a face's fraction of the photo as a sheet shows it: to a grey of 1 to 255. */
function packSize(fraction) {
  return Math.min(Math.max(Math.round(255 * Math.sqrt(fraction)), 1), 255) / 255;
}
