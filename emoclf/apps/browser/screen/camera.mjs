/** The camera: opened and closed, its frames answered one after the other. */
import { Problem } from "./texts.mjs";
import { takePixels } from "./reading.mjs";

const LONGEST_FRAME_PX = 640;
const RATE_FRAMES = 30;
const PATIENCE_MS = 200;

const REASONS = {
  NotAllowedError: "problem_camera_denied",
  SecurityError: "problem_camera_denied",
  NotFoundError: "problem_camera_none",
  OverconstrainedError: "problem_camera_none",
  NotReadableError: "problem_camera_busy",
  AbortError: "problem_camera_busy",
};

/** Say why a camera could not be opened, as a `Problem`. */
function explainCamera(error) {
  const key = REASONS[error.name];
  if (key === "problem_camera_denied" && location.protocol === "file:") {
    return new Problem("problem_camera_file");
  }
  return key ? new Problem(key) : new Problem("problem_camera", { detail: error.message });
}

/** Open the front ("user") or back ("environment") camera. */
async function openStream(facing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    const isFile = location.protocol === "file:";
    throw new Problem(isFile ? "problem_camera_file" : "problem_camera_insecure");
  }
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: facing };
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw explainCamera(error);
  }
}

/** Asks the worker about frame after frame, one at a time. */
export class Camera {
  /**
   * @param {HTMLVideoElement} video - Where the camera is seen.
   * @param {import("./worker_client.mjs").WorkerClient} worker - What answers.
   * @param {{answered: (answer: object, pace: object) => void, ended: (error: Error) => void}} on -
   *   Called for each answer, with frames per second and milliseconds; and when it breaks off.
   */
  constructor(video, worker, on) {
    Object.assign(this, { video, worker, on, stream: null, facing: "user", turn: 0 });
    this.canvas = document.createElement("canvas");
    Object.assign(this, { isPaused: false, isAsked: false, isFresh: false, timer: 0, ends: [] });
    this.asked = Promise.resolve();
  }

  /** Whether the camera is open. */
  get isOn() {
    return this.stream !== null;
  }

  /** Whether the picture is shown as in a mirror. */
  get isMirrored() {
    const facing = this.stream?.getVideoTracks()[0]?.getSettings().facingMode;
    return (facing ?? this.facing) !== "environment";
  }

  /** Open the camera and begin; rejects with a `Problem`. */
  async start(facing = this.facing) {
    this.stop();
    const turn = this.turn;
    const stream = await openStream(facing).catch((error) => {
      if (turn === this.turn) throw error;
    });
    if (turn !== this.turn) {
      stream?.getTracks().forEach((track) => track.stop()); // switched off while it was asked for
      return;
    }
    Object.assign(this, {
      stream,
      facing,
      isPaused: false,
      isAsked: false,
      isFresh: false,
      ends: [],
    });
    stream.getVideoTracks()[0].addEventListener("ended", () => this.breakOff(turn));
    this.video.srcObject = stream;
    await this.video.play().catch(() => {}); // a newer start interrupts it
    if (turn !== this.turn) return;
    await this.worker.ask("restart");
    if (turn === this.turn) this.watchFrames(turn);
  }

  /** Close the camera; its light goes out. */
  stop() {
    this.turn += 1;
    clearInterval(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    Object.assign(this, { stream: null, isPaused: false });
    this.video.srcObject = null;
  }

  /** Stand still at the last frame that was answered; returns its canvas. */
  async pause() {
    this.isPaused = true;
    await this.asked.catch(() => {}); // its answer, or its problem, was told already
    return this.canvas;
  }

  /** Go on after a pause. */
  resume() {
    this.isPaused = false;
    this.ends = [];
    this.askIfFree(this.turn);
  }

  /** How many cameras there are. */
  async count() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((each) => each.kind === "videoinput").length;
  }

  breakOff(turn) {
    if (turn !== this.turn) return;
    this.stop();
    this.on.ended(new Problem("problem_camera_ended"));
  }

  /** Ask as soon as there is a new frame and the last one is answered. */
  watchFrames(turn) {
    const { video } = this;
    const wait = (act) => video.requestVideoFrameCallback?.(act) ?? requestAnimationFrame(act);
    const look = () => {
      this.isFresh = true;
      this.askIfFree(turn);
    };
    const seen = () => {
      if (turn !== this.turn) return;
      wait(seen);
      look();
    };
    wait(seen);
    this.timer = setInterval(look, PATIENCE_MS); // a video out of sight may tell of no frames
  }

  askIfFree(turn) {
    const isFree = turn === this.turn && !this.isPaused && !this.isAsked;
    if (!isFree || !this.isFresh || !this.video.videoWidth) return;
    Object.assign(this, { isFresh: false, isAsked: true });
    this.drawFrame();
    const frame = takePixels(this.canvas);
    const seconds = performance.now() / 1000;
    this.asked = this.worker.ask("frame", { ...frame, seconds }, [frame.pixels]);
    this.asked.then(
      (answer) => this.finish(answer, turn),
      (error) => this.giveUp(error, turn),
    );
  }

  drawFrame() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, LONGEST_FRAME_PX / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(scale * videoWidth), Math.round(scale * videoHeight)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.video, 0, 0, width, height);
  }

  finish(answer, turn) {
    if (turn !== this.turn) return;
    this.isAsked = false;
    this.ends.push(performance.now());
    if (this.ends.length > RATE_FRAMES + 1) this.ends.shift();
    const span = this.ends.at(-1) - this.ends[0];
    const rate = span > 0 ? (1000 * (this.ends.length - 1)) / span : 0;
    this.on.answered(answer, { rate, milliseconds: answer.milliseconds?.total ?? 0 });
    this.askIfFree(turn);
  }

  giveUp(error, turn) {
    if (turn !== this.turn) return;
    this.stop();
    this.on.ended(error);
  }
}
