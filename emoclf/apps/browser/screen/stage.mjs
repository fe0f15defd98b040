/** The stage: the video or a picture, with the faces marked on it. */
import { byId, offerFile } from "./elements.mjs";
import { drawMarks, drawPhotoAnswer, placeBox } from "./drawing.mjs";

/** Shows what is looked at and lets a face be chosen. */
export class Stage {
  /**
   * @param {import("./texts.mjs").Words} words - For the labels.
   * @param {(index: number) => void} choose - Called with the face that was clicked.
   */
  constructor(words, choose) {
    this.words = words;
    [this.frame, this.video, this.picture, this.marks] = ["stage", "video", "picture", "marks"].map(
      byId,
    );
    this.forget();
    this.marks.addEventListener("click", (event) => {
      const found = this.findFace(event);
      if (found >= 0) choose(found);
    });
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  /** Show nothing. */
  forget() {
    Object.assign(this, { answer: null, chosen: -1, isMirrored: false });
    this.show("none");
  }

  /** Show the video, as in a mirror or not. */
  showVideo(isMirrored) {
    this.answer = null;
    this.mirror(isMirrored);
    this.show("video");
  }

  /** Show a picture: what another canvas holds. */
  showPicture(canvas, isMirrored = false) {
    this.picture.width = canvas.width;
    this.picture.height = canvas.height;
    this.picture.getContext("2d").drawImage(canvas, 0, 0);
    this.answer = null;
    this.mirror(isMirrored);
    this.show("picture");
  }

  /** Mark the faces of an answer; `chosen` is one of them, or -1. */
  mark(answer, chosen) {
    Object.assign(this, { answer, chosen });
    this.draw();
  }

  mirror(isMirrored) {
    this.isMirrored = isMirrored;
    this.video.classList.toggle("mirrored", isMirrored);
    this.picture.classList.toggle("mirrored", isMirrored);
  }

  show(what) {
    this.video.hidden = what !== "video";
    this.picture.hidden = what !== "picture";
    this.marks.hidden = what === "none";
    this.draw();
  }

  /** Where the picture lies in the marks' canvas: it fits in, with bars at two sides. */
  findPlace() {
    const { width, height } = this.answer;
    const scale = Math.min(this.marks.width / width, this.marks.height / height);
    const [wide, high] = [scale * width, scale * height];
    const [left, top] = [(this.marks.width - wide) / 2, (this.marks.height - high) / 2];
    const { isMirrored, chosen, words } = this;
    return { scale, left, top, width: wide, isMirrored, chosen, words, unit: devicePixelRatio };
  }

  draw() {
    const ratio = devicePixelRatio;
    const width = Math.round(ratio * this.frame.clientWidth);
    const height = Math.round(ratio * this.frame.clientHeight);
    if (this.marks.width !== width) this.marks.width = width;
    if (this.marks.height !== height) this.marks.height = height;
    const context = this.marks.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (this.answer && !this.marks.hidden) drawMarks(context, this.answer, this.findPlace());
  }

  findFace(event) {
    if (!this.answer) return -1;
    const area = this.marks.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top].map(
      (v) => v * devicePixelRatio,
    );
    const place = this.findPlace();
    return this.answer.faces.findIndex(({ box }) => {
      const [left, top, width, height] = placeBox(box, place);
      return x >= left && x <= left + width && y >= top && y <= top + height;
    });
  }

  /** Offer what is seen as a file: the picture that another canvas holds, with its marks. */
  async save(source, name) {
    const copy = this.copy(source);
    const blob = await new Promise((resolve) => copy.toBlob(resolve, "image/png"));
    if (blob) offerFile(blob, name);
  }

  copy(source) {
    const canvas = document.createElement("canvas");
    canvas.width = source.width;
    canvas.height = source.height;
    const context = canvas.getContext("2d");
    if (this.isMirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    context.drawImage(source, 0, 0);
    context.resetTransform();
    const { isMirrored, words } = this;
    const unit = Math.max(canvas.width, canvas.height) / 640;
    const place = {
      scale: 1,
      left: 0,
      top: 0,
      width: canvas.width,
      isMirrored,
      words,
      unit,
      chosen: -1,
    };
    drawMarks(context, this.answer, place);
    if (this.answer.photo) drawPhotoAnswer(context, this.answer, words, unit);
    return canvas;
  }
}
