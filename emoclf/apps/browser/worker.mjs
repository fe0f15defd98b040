/** The page's worker: runs the networks, so that the page never stalls. */
import { Answerer } from "./answering/answerer.mjs";
import { readPackedHead } from "./answering/answers.mjs";
import { lookInside } from "./answering/inside.mjs";
import { Learner } from "./answering/learning.mjs";
import { Tracker } from "./answering/tracking.mjs";
import { loadKernel } from "./engine/memory.mjs";
import { loadNetwork } from "./engine/network.mjs";
import { FaceDetector } from "./vision/faces.mjs";
import { LiveDetector } from "./vision/live.mjs";
import { dropAlpha } from "./vision/pixels.mjs";

/** For how long the features of a scene are used again, while the camera runs. */
const SCENE_SECONDS = 0.5;
const ASKED = ["photo", "frame", "restart", "example", "inside"];
const TAUGHT = ["classes", "rename", "remove", "clear", "train", "use", "save", "open"];
const CHANGES_ANSWERS = ["train", "use", "open"];

/** Answers the page's messages, one after the other. */
export class Service {
  constructor() {
    this.tracker = new Tracker();
    this.last = null;
    this.scene = null;
    this.isLoaded = false;
  }

  /**
   * Answer a message; what goes wrong becomes a reply with a `problem`, a key of the page's texts.
   * @param {{id: number, kind: string}} message
   * @returns {Promise<object>} The reply, with the message's `id`.
   */
  async reply(message) {
    const { id = null, kind, ...asked } = message ?? {};
    try {
      const found = kind === "load" ? await this.load(asked) : this.answer(kind, asked);
      return { ...found, id };
    } catch (error) {
      const detail = error.detail ?? { detail: String(error.message ?? error) };
      return { id, problem: error.problem ?? "problem_unknown", detail };
    }
  }

  answer(kind, asked) {
    if (!this.isLoaded) throw new Error("The networks are not loaded yet.");
    if (TAUGHT.includes(kind)) return this.teach(kind, asked);
    if (!ASKED.includes(kind)) throw new Error(`The worker knows no message named ${kind}.`);
    return this[kind](asked);
  }

  /** Load the networks that the page has: ArrayBuffers by name, and what the page says of them. */
  async load({ kernel, info, head, ...parts }) {
    const memory = await loadKernel(new Uint8Array(kernel));
    const open = (name, options) =>
      parts[name] ? loadNetwork(memory, new Uint8Array(parts[name]), options) : null;
    const detector = open("detector", { swapChannels: true });
    const networks = { face: open("face"), scene: open("scene"), network: open("network") };
    this.detector = detector && new FaceDetector(detector, Boolean(info.detector?.isPackaged));
    this.live = this.detector && new LiveDetector(this.detector);
    const joint = head ? readPackedHead(head, info.classNames.length) : null;
    this.answerer = new Answerer(networks, joint, info);
    this.learner = new Learner(this.answerer);
    this.isLoaded = true;
    return { featureKinds: this.answerer.featureKinds };
  }

  /** Answer for a photo with all looks, as the package's `Predictor` does. */
  photo(asked) {
    const picture = dropAlpha(new Uint8Array(asked.pixels), asked.width, asked.height);
    return this.describe(picture, this.detector, ({ faces, photo }) => ({
      faces: faces.map((face, index) => ({ ...face, id: index + 1 })),
      photo,
    }));
  }

  /** Answer for the next frame of a camera: a quick look, answers that follow smoothly. */
  frame({ pixels, width, height, seconds }) {
    const picture = dropAlpha(new Uint8Array(pixels), width, height);
    const { rules } = this.answerer;
    const smooth = (found) => this.tracker.follow(found, seconds, rules);
    return this.describe(picture, this.live, smooth, seconds);
  }

  /** Find the faces of a picture and answer; `finish` gives them their numbers. */
  describe(picture, finder, finish, seconds = null) {
    const { answerer } = this;
    const start = performance.now();
    const faces = finder?.find(picture) ?? [];
    const middle = performance.now();
    const scene = answerer.needsScene ? this.findScene(picture, seconds) : null;
    const found = finish(answerer.answer(picture, faces, scene));
    this.last = { picture, faces, seconds: seconds ?? 0 };
    const end = performance.now();
    return {
      ...{ width: picture.width, height: picture.height },
      ...{ classNames: answerer.classNames, faceClassNames: answerer.faceClassNames },
      ...found,
      milliseconds: { faces: middle - start, networks: end - middle, total: end - start },
    };
  }

  /** Return the features of the scene, of a frame shortly before where there is one. */
  findScene(picture, seconds) {
    const age = seconds === null || !this.scene ? Infinity : seconds - this.scene.seconds;
    if (age >= 0 && age < SCENE_SECONDS) return this.scene.features;
    const features = this.answerer.findSceneFeatures(picture);
    this.scene = seconds === null ? null : { features, seconds };
    return features;
  }

  /** Forget the faces of the frames before. */
  restart() {
    this.tracker.restart();
    this.live?.restart();
    this.scene = null;
    return {};
  }

  teach(kind, asked) {
    const found = this.learner[kind](asked);
    if (CHANGES_ANSWERS.includes(kind)) this.tracker.restart();
    return found;
  }

  /** Keep an example, of a photo or of the last frame. */
  example(asked) {
    if (asked.from === "frame") return this.learner.example(asked, this.last);
    const picture = dropAlpha(new Uint8Array(asked.pixels), asked.width, asked.height);
    const faces = this.detector.find(picture);
    return this.learner.example(asked, { picture, faces, seconds: 0 });
  }

  /** Look into the network that gave one of the last answers; -1 is the photo as a whole. */
  inside({ face, occlusion = true }) {
    if (!this.last) throw new Error("There is no answer yet to look into.");
    const { picture, faces } = this.last;
    return lookInside(this.answerer, picture, faces[face] ?? null, occlusion);
  }
}

/** Answer the messages of a page, in their order. */
export function serve(scope) {
  const service = new Service();
  let before = Promise.resolve();
  scope.addEventListener("message", ({ data }) => {
    before = before.then(async () => scope.postMessage(await service.reply(data)));
  });
}

if (typeof WorkerGlobalScope === "function") serve(globalThis);
