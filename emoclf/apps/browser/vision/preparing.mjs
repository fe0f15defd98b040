/** A whole photo brought to a network's size, as `resize_image` does with Pillow. */
import { roundHalfToEven } from "./pixels.mjs";
import { resample, tabulateWeights, weighCubic } from "./resizing.mjs";

export const PADDING_GREY = 128;
const SHARPNESS = -0.5;
const PRECISION = 2 ** 22;

/**
 * Bring a photo of any shape to one size with its aspect kept.
 * @param {object} picture
 * @param {[number, number]} size - Height and width of the result in pixels.
 * @param {"pad"|"crop"} mode - "pad" shows the whole photo, centred on mid-grey; "crop" fills the
 *   size with the centre of the photo.
 * @returns {object} A picture of that size.
 */
export function resizePhoto(picture, size, mode) {
  const [height, width] = size;
  if (picture.height === height && picture.width === width) return picture;
  const { source, target } = findPlacement(picture, size, mode);
  const across = weighBicubic(picture.width, source.left, source.right, target.width);
  const down = weighBicubic(picture.height, source.top, source.bottom, target.height);
  const resized = resample(picture, across, down, Uint8ClampedArray);
  if (target.width === width && target.height === height) return resized;
  const data = new Uint8Array(3 * width * height).fill(PADDING_GREY);
  for (let y = 0; y < target.height; y++) {
    const row = resized.data.subarray(3 * y * target.width, 3 * (y + 1) * target.width);
    data.set(row, 3 * ((target.top + y) * width + target.left));
  }
  return { width, height, data };
}

/** Return which part of a photo `resizePhoto` shows, and where in its result that lies. */
function findPlacement(picture, [rows, columns], mode) {
  const { width, height } = picture;
  if (mode === "crop") {
    const scale = Math.max(rows / height, columns / width);
    const top = Math.max(0, (height - rows / scale) / 2);
    const left = Math.max(0, (width - columns / scale) / 2);
    const source = { left, top, right: width - left, bottom: height - top };
    return { source, target: { left: 0, top: 0, width: columns, height: rows } };
  }
  const scale = Math.min(rows / height, columns / width);
  const high = Math.min(Math.max(roundHalfToEven(height * scale), 1), rows);
  const wide = Math.min(Math.max(roundHalfToEven(width * scale), 1), columns);
  const [top, left] = [Math.floor((rows - high) / 2), Math.floor((columns - wide) / 2)];
  const source = { left: 0, top: 0, right: width, bottom: height };
  return { source, target: { left, top, width: wide, height: high } };
}

/** Weigh the values from `first` to `last` of a line by Pillow's antialiased BICUBIC. */
function weighBicubic(length, first, last, count) {
  const step = (last - first) / count;
  const stretch = Math.max(step, 1);
  const support = 2 * stretch;
  return tabulateWeights(count, 2 * Math.ceil(support) + 1, (index) => {
    const centre = first + (index + 0.5) * step;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), length);
    const raw = [];
    for (let at = start; at < end; at++) {
      raw.push(weighCubic(SHARPNESS, Math.abs((at - centre + 0.5) / stretch)));
    }
    const sum = raw.reduce((total, weight) => total + weight, 0);
    const weights = raw.map((weight) => Math.round((weight / sum) * PRECISION) / PRECISION);
    return { start, weights };
  });
}
