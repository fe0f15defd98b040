/** What is looked at: the camera or photos, its answer, the chosen face, the look inside. */
import { AnswerPanel } from "./answer_panel.mjs";
import { Camera } from "./camera.mjs";
import { InsidePanel } from "./inside_panel.mjs";
import { Stage } from "./stage.mjs";
import { Strip } from "./strip.mjs";
import { drawControls } from "./controls.mjs";
import { byId, setText } from "./elements.mjs";
import { takePixels } from "./reading.mjs";

const MAX_FILES = 100;
const INSIDE_EVERY_MS = 700;

/** Shows the camera's or a photo's answer everywhere on the page. */
export class Viewer {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {import("./worker_client.mjs").WorkerClient} worker - What answers.
   * @param {{changed: () => void, fail: (problems: Error[]) => void}} on - Called when the camera
   *   starts, stands still or ends; and with what went wrong.
   */
  constructor(words, worker, on) {
    Object.assign(this, { words, worker, on, mode: "none", tab: "tab-answer" });
    Object.assign(this, { answer: null, source: null, asked: null, chosenId: null });
    Object.assign(this, { lookedAt: 0, isLooking: false, hasSeveralCameras: false });
    const choose = (index) => this.chooseFace(index);
    this.panel = new AnswerPanel(words, choose);
    this.stage = new Stage(words, choose);
    this.inside = new InsidePanel(words, () => this.pauseAndLook());
    this.camera = new Camera(byId("video"), worker, {
      answered: (answer, pace) => this.showFrame(answer, pace),
      ended: (error) => this.leave(error),
    });
    this.strip = new Strip(words, {
      answer: (canvas) => this.askPhoto(canvas),
      show: (photo, canvas) => this.showPhoto(photo, canvas),
      fail: (error) => on.fail([error]),
    });
  }

  /** Whether frames come in, so that examples can be recorded. */
  get isLive() {
    return this.camera.isOn && !this.camera.isPaused && this.answer !== null;
  }

  /** Whether the picture stands still, so that there is time for the map of hiding. */
  get isStill() {
    return this.mode === "photos" || this.camera.isPaused;
  }

  /** Look at "none", "camera" or "photos". */
  showMode(mode) {
    this.mode = mode;
    this.drawControls();
  }

  drawControls() {
    const { mode, hasSeveralCameras: canFlip } = this;
    const { isPaused } = this.camera;
    drawControls(this.words, { mode, hasAnswer: this.answer !== null, isPaused, canFlip });
  }

  /** Write everything again, in another language. */
  drawWords() {
    this.drawControls();
    this.strip.draw();
    if (this.answer) this.showAnswer();
    else if (this.mode === "none") this.sayReady("promise");
    this.inside.drawWords();
  }

  sayReady(key) {
    this.panel.clear(this.words.say("ready"), this.words.say(key));
  }

  // --- the camera

  async switchCamera() {
    if (this.mode === "camera") this.leave(null);
    else await this.startCamera();
  }

  async startCamera(facing) {
    this.on.fail([]);
    this.forget();
    this.panel.clear(this.words.say("camera_opening"));
    this.showMode("camera");
    try {
      await this.camera.start(facing);
      if (!this.camera.isOn) return;
      this.hasSeveralCameras = (await this.camera.count()) > 1;
      this.showMode("camera");
    } catch (error) {
      this.leave(error);
    }
  }

  flip() {
    this.startCamera(this.camera.facing === "user" ? "environment" : "user");
  }

  /** Switch everything off; `key` says why where the reader did not do it. */
  leave(error, key = "promise") {
    this.camera.stop();
    this.forget();
    this.showMode("none");
    this.sayReady(key);
    if (error) this.on.fail([error]);
    this.on.changed();
  }

  showFrame(answer, { rate, milliseconds }) {
    const isFirst = this.answer === null;
    this.answer = answer;
    if (isFirst) {
      this.stage.showVideo(this.camera.isMirrored);
      this.drawControls();
      this.on.changed();
    }
    this.showAnswer();
    setText(byId("pace"), this.words.say("pace", { rate, milliseconds }));
    const isDue = performance.now() - this.lookedAt > INSIDE_EVERY_MS;
    if (this.tab === "tab-inside" && isDue) this.lookInside();
  }

  async switchPause() {
    if (!this.camera.isPaused) {
      await this.pause();
      return;
    }
    this.source = null;
    this.stage.showVideo(this.camera.isMirrored);
    this.camera.resume();
    this.drawControls();
    this.on.changed();
  }

  async pause() {
    const canvas = await this.camera.pause();
    if (this.mode !== "camera" || !this.answer) return;
    this.source = canvas;
    this.stage.showPicture(canvas, this.camera.isMirrored);
    this.showAnswer();
    this.drawControls();
    this.on.changed();
    if (this.tab === "tab-inside") await this.lookInside();
  }

  // --- photos

  /** Show photos; what is no photo is said, and does not stop the others. */
  async showFiles(files) {
    this.on.fail([]);
    this.camera.stop();
    this.forget();
    this.showMode("photos");
    this.on.changed();
    const problems = await this.strip.add(files.slice(0, MAX_FILES), (number, all) => {
      if (!this.answer) this.panel.clear(this.words.say("reading", { number, all }));
    });
    if (problems === null) return;
    if (!this.strip.photos.length) this.leave(null);
    if (files.length > MAX_FILES) problems.push(this.strip.refuseMore(MAX_FILES));
    this.on.fail(problems);
  }

  /** Ask for all looks at a photo, as in Python. */
  askPhoto(canvas) {
    this.asked = canvas;
    const photo = takePixels(canvas);
    return this.worker.ask("photo", photo, [photo.pixels]);
  }

  showPhoto(photo, canvas) {
    Object.assign(this, { chosenId: null, source: canvas, answer: photo.answer });
    this.stage.showPicture(canvas);
    this.drawControls();
    this.showAnswer();
    if (this.tab === "tab-inside") this.lookInside();
  }

  // --- answers

  forget() {
    Object.assign(this, { answer: null, source: null, chosenId: null });
    this.strip.clear();
    this.stage.forget();
    this.inside.clear();
  }

  get chosen() {
    const { faces } = this.answer;
    const found = faces.findIndex((face) => face.id === this.chosenId);
    return found < 0 ? Math.min(0, faces.length - 1) : found;
  }

  showAnswer() {
    const chosen = this.answer.faces.length > 1 ? this.chosen : -1;
    this.panel.show(this.answer, chosen);
    this.stage.mark(this.answer, chosen);
    this.stage.marks.setAttribute("aria-label", byId("headline").textContent);
  }

  chooseFace(index) {
    this.chosenId = this.answer.faces[index]?.id ?? null;
    this.showAnswer();
    if (this.tab === "tab-inside") this.lookInside();
  }

  openTab(id) {
    this.tab = id;
    byId("page").dataset.tab = id;
    if (this.answer && id === "tab-inside") this.lookInside();
  }

  /** Look into the network; what was chosen meanwhile is looked at after that. */
  async lookInside() {
    if (!this.answer || this.isLooking) return;
    const { faces, photo } = this.answer;
    if (!faces.length && !photo) {
      this.inside.clear("inside_no_face");
      return;
    }
    const { chosen, isStill, source } = this;
    this.isLooking = true;
    try {
      const isOther = this.mode === "photos" && this.asked !== source;
      const again = isOther ? this.askPhoto(source) : null; // the worker looks into its last photo
      const found = await this.worker.ask("inside", { face: chosen, occlusion: isStill });
      await again;
      if (this.answer) this.inside.show(found);
    } catch (error) {
      this.on.fail([error]);
    }
    this.lookedAt = performance.now();
    this.isLooking = false;
    const isAnother = this.answer && (chosen !== this.chosen || source !== this.source);
    if (isAnother && this.isStill && this.tab === "tab-inside") await this.lookInside();
  }

  async pauseAndLook() {
    if (this.isStill) await this.lookInside();
    else await this.pause();
  }

  /** Ask again, because another network answers now. */
  async answerAgain() {
    if (this.mode === "photos") await this.strip.answerAgain();
    const { source } = this;
    if (this.mode !== "camera" || !source) return;
    const answer = await this.askPhoto(source);
    if (source !== this.source) return; // it runs again
    this.answer = answer;
    this.showAnswer();
    if (this.tab === "tab-inside") await this.lookInside();
  }

  /** Offer the picture with its boxes and answers, as it is seen; a video waits for that. */
  async savePicture() {
    const { isLive, camera } = this;
    const source = isLive ? await camera.pause() : this.source;
    if (this.answer) await this.stage.save(source, "happy-or-sad.png");
    if (isLive) camera.resume();
  }
}
