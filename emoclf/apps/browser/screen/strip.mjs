/** Several photos: a strip of small pictures with their answers, one of them on the stage. */
import { byId, makeElement, setText } from "./elements.mjs";
import { colourOf, inkOn } from "./drawing.mjs";
import { readPhoto, showFileName } from "./reading.mjs";
import { Problem } from "./texts.mjs";
import { writeBriefly } from "./wording.mjs";

const THUMB_PX = 144;

/** Photos that were given, read and answered one after the other; only small pictures are kept. */
export class Strip {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {object} act - `answer(canvas)` asks the networks, `show(photo, canvas)` puts a photo on
   *   the stage, `fail(error)` says what went wrong.
   */
  constructor(words, act) {
    Object.assign(this, { words, act, photos: [], chosen: null, turn: 0 });
  }

  /**
   * Read and answer photos; one that cannot be read does not stop the others.
   * @param {File[]} files - The photos.
   * @param {(number: number, all: number) => void} progress - Called before each.
   * @returns {Promise<Error[] | null>} What went wrong; null if others were given meanwhile.
   */
  async add(files, progress) {
    const turn = this.turn;
    const problems = [];
    let isFirst = true;
    for (const [place, file] of files.entries()) {
      progress(place + 1, files.length);
      try {
        await this.read(file, turn, isFirst);
        isFirst = false;
      } catch (error) {
        problems.push(error);
      }
      if (turn !== this.turn) return null;
    }
    return problems;
  }

  async read(file, turn, isFirst) {
    const canvas = await readPhoto(file);
    if (turn !== this.turn) return;
    const photo = { file, name: showFileName(file.name), answer: await this.act.answer(canvas) };
    if (turn !== this.turn) return;
    this.photos.push(photo);
    this.addButton(photo, canvas);
    if (isFirst) this.put(photo, canvas);
    else this.draw();
  }

  /** Forget all photos. */
  clear() {
    this.turn += 1;
    this.photos = [];
    this.chosen = null;
    byId("strip").replaceChildren();
    byId("strip").hidden = true;
  }

  /** Put a photo on the stage: read it again, because only its small picture was kept. */
  async choose(photo) {
    const turn = this.turn;
    this.chosen = photo;
    this.draw();
    const canvas = await readPhoto(photo.file);
    if (turn !== this.turn || this.chosen !== photo) return;
    photo.answer = await this.act.answer(canvas);
    if (turn === this.turn && this.chosen === photo) this.put(photo, canvas);
  }

  /** Ask again about every photo, the shown one last, so that it is the one looked into. */
  async answerAgain() {
    const { turn, chosen } = this;
    for (const photo of this.photos) {
      if (photo === chosen) continue;
      const answer = await this.act.answer(await readPhoto(photo.file));
      if (turn !== this.turn) return;
      photo.answer = answer;
      this.draw();
    }
    if (turn === this.turn && this.chosen) await this.choose(this.chosen);
  }

  put(photo, canvas) {
    this.chosen = photo;
    this.draw();
    this.act.show(photo, canvas);
  }

  addButton(photo, canvas) {
    const small = makeElement("canvas");
    const scale = THUMB_PX / Math.min(canvas.width, canvas.height);
    const [width, height] = [scale * canvas.width, scale * canvas.height];
    small.width = small.height = THUMB_PX;
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, (THUMB_PX - width) / 2, (THUMB_PX - height) / 2, width, height);
    photo.button = makeElement("button", "thumb");
    photo.button.type = "button";
    photo.caption = makeElement("span", "thumb-answer");
    photo.button.append(small, photo.caption);
    photo.button.addEventListener("click", () =>
      this.choose(photo).catch((error) => this.act.fail(error)),
    );
    byId("strip").append(photo.button);
    byId("strip").hidden = this.photos.length < 2;
  }

  /** Return the problem of more photos than are taken. */
  refuseMore(limit) {
    return new Problem("too_many", { limit });
  }

  /** Write the answers below the small pictures. */
  draw() {
    for (const photo of this.photos) {
      const { faces, photo: whole } = photo.answer;
      const first = whole ?? (faces.length === 1 ? faces[0] : null);
      const colour = colourOf(first?.answer ?? -1);
      const said = writeBriefly(this.words, photo.answer);
      setText(photo.caption, said);
      photo.caption.style.background = colour;
      photo.caption.style.color = inkOn(colour);
      photo.button.title = photo.name;
      photo.button.setAttribute("aria-label", `${photo.name}: ${said}`);
      photo.button.setAttribute("aria-pressed", String(photo === this.chosen));
    }
  }
}
