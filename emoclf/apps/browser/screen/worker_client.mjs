/** The page's side of the worker: questions go out with a number, answers come back to them. */
import { Problem } from "./texts.mjs";
import { takeBytes } from "./embedded.mjs";

const PARTS = ["kernel", "detector", "face", "scene", "head", "network"];

/** The smallest module that uses a vector of 128 bits. */
const SIMD_TRIAL = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);

/** Runs the networks in a worker, so that the page never stalls. */
export class WorkerClient {
  constructor() {
    this.waiting = new Map();
    this.next = 1;
    this.failure = null;
  }

  /**
   * Start the worker and hand it the networks.
   * @param {object} info - What the page knows about them.
   * @returns {Promise<{featureKinds: string[]}>} What can be taught.
   */
  async start(info) {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD_TRIAL)) {
      throw new Problem("problem_wasm");
    }
    const source = takeBytes("worker-source");
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      this.worker = new Worker(address);
    } catch {
      throw new Problem("problem_worker");
    }
    this.worker.addEventListener("message", ({ data }) => this.receive(data));
    this.worker.addEventListener("error", (event) => this.fail(event));
    const parts = PARTS.map((name) => [name, takeBytes(name)?.buffer]);
    const given = parts.filter(([, buffer]) => buffer).map(([, buffer]) => buffer);
    const answered = this.ask("load", { ...Object.fromEntries(parts), info }, given);
    return answered.finally(() => URL.revokeObjectURL(address));
  }

  /**
   * Ask the worker.
   * @param {string} kind - What: "photo", "frame", "train", ...
   * @param {object} [values] - What goes with it.
   * @param {Transferable[]} [given] - Buffers that are handed over instead of copied.
   * @returns {Promise<object>} The answer; rejects with a `Problem`.
   */
  ask(kind, values = {}, given = []) {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.next;
    this.next += 1;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...values, id, kind }, given);
    });
  }

  receive(reply) {
    const asked = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (!asked) return;
    const { problem, detail } = reply;
    if (!problem) asked.resolve(reply);
    else
      asked.reject(new Problem(problem, typeof detail === "object" ? (detail ?? {}) : { detail }));
  }

  fail(event) {
    event.preventDefault();
    this.failure = new Problem("problem_worker", { detail: event.message ?? "" });
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }
}
