/** Boxes, numbers and answers drawn onto a picture, on the stage and for saving. */
import { faceClasses, nameAnswer, writeShare } from "./wording.mjs";

/** The classes' colours in label order: blue for Sad, orange for Happy, as everywhere in emoclf. */
const CLASS_COLOURS = ["#3B6FB6", "#E8871E", "#2E8B57", "#B03A48", "#7A5BA6", "#8A6D1B"];

/** The colour of "uncertain". */
const UNCERTAIN_COLOUR = "#8A8F98";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

/** Return the colour of an answer: of its class, or of "uncertain" for -1. */
export function colourOf(label) {
  return label < 0 ? UNCERTAIN_COLOUR : CLASS_COLOURS[label % CLASS_COLOURS.length];
}

/** Return black or white, whichever is easier to read on a colour. */
export function inkOn(colour) {
  const linear = [1, 3, 5].map((start) => {
    const share = parseInt(colour.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
}

/**
 * Draw the answers for all faces.
 * @param {CanvasRenderingContext2D} context - Onto what.
 * @param {object} answer - What the worker answered.
 * @param {{scale: number, left: number, top: number, width: number, isMirrored: boolean,
 *   chosen: number, words: object}} place - Where the picture lies in the canvas (its left, top
 *   and width in canvas pixels, `scale` canvas pixels per pixel of the picture), and which face is
 *   chosen (-1: none).
 */
export function drawMarks(context, answer, place) {
  const unit = Math.max(1, place.unit);
  const classNames = faceClasses(answer);
  const boxes = answer.faces.map((face) => placeBox(face.box, place));
  for (let index = boxes.length - 1; index >= 0; index -= 1) {
    drawBox(context, boxes[index], answer.faces[index].answer, index === place.chosen, unit);
  }
  answer.faces.forEach((face, index) => {
    const named = nameAnswer(place.words, face, classNames);
    const share =
      face.answer < 0 ? "" : ` ${writeShare(place.words, face.probabilities[face.answer])}`;
    const isAlone = answer.faces.length === 1;
    const texts = isAlone ? [`${named}${share}`, named] : [`${index + 1} ${named}`, `${index + 1}`];
    drawLabel(context, boxes[index], texts, colourOf(face.answer), unit);
  });
}

/** Write the answer for the photo as a whole into its corner. */
export function drawPhotoAnswer(context, { photo, classNames }, words, unit) {
  const share = photo.answer < 0 ? "" : ` ${writeShare(words, photo.probabilities[photo.answer])}`;
  const text = `${words.say("whole_photo")}: ${nameAnswer(words, photo, classNames)}${share}`;
  const { width, height } = context.canvas;
  drawLabel(context, [0, height, width, 0], [text], colourOf(photo.answer), unit);
}

/** Return a face's box as `[left, top, width, height]` in pixels of the canvas. */
export function placeBox([left, top, width, height], place) {
  const across = place.scale * left;
  const start = place.isMirrored ? place.width - across - place.scale * width : across;
  return [
    place.left + start,
    place.top + place.scale * top,
    place.scale * width,
    place.scale * height,
  ];
}

function drawBox(context, [left, top, width, height], label, isChosen, unit) {
  const radius = Math.min(10 * unit, width / 6, height / 6);
  context.beginPath();
  context.roundRect(left, top, width, height, radius);
  context.setLineDash([]);
  context.lineWidth = (isChosen ? 7 : 5) * unit;
  context.strokeStyle = isChosen ? "#fff" : "rgba(0, 0, 0, 0.65)";
  context.stroke();
  if (label < 0) context.setLineDash([10 * unit, 7 * unit]);
  context.lineWidth = 3 * unit;
  context.strokeStyle = colourOf(label);
  context.stroke();
  context.setLineDash([]);
}

function drawLabel(context, [left, top, width, height], texts, colour, unit) {
  const size = Math.round(Math.min(Math.max(width / 7, 13 * unit), 22 * unit));
  context.font = `600 ${size}px ${FONT}`;
  const room = Math.max(1.8 * width, 60 * unit);
  const text = texts.find((each) => context.measureText(each).width <= room) ?? texts.at(-1);
  const wide = context.measureText(text).width + size;
  const high = 1.5 * size;
  const x = Math.min(Math.max(left, 0), Math.max(0, context.canvas.width - wide));
  const above = top - high - 3 * unit;
  const below = Math.min(top + height + 3 * unit, context.canvas.height - high);
  const y = above >= 0 ? above : below;
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x, y, wide, high, 0.35 * size);
  context.fill();
  context.fillStyle = inkOn(colour);
  context.textBaseline = "middle";
  context.fillText(text, x + size / 2, y + 0.53 * high);
}
