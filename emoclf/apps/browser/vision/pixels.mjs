/**
 * Pictures as arrays: from a canvas to RGB, turned, cut.
 *
 * A picture is `{width, height, data}`, its data a Uint8Array of RGB values 0..255, three bytes a
 * pixel, row by row. What the package does with OpenCV is done here in the same way, so that the
 * same photo gets the same answer.
 */

/** Round to the nearest whole number, halves to the even one, as Python's `round` does. */
export function roundHalfToEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** Refuse what is no picture or has no pixel. */
function checkPixels(length, width, height, channels) {
  const isSize = [width, height].every((side) => Number.isInteger(side) && side > 0);
  if (isSize && length === width * height * channels) return;
  throw new Error(
    `Expected ${channels} bytes a pixel and at least one pixel, received ${length} bytes for ` +
      `${width} x ${height} pixels.`,
  );
}

/**
 * Turn what a canvas hands out into a picture; what is transparent shows white.
 * @param {Uint8ClampedArray|Uint8Array} pixels - RGBA values 0..255, not premultiplied.
 * @param {number} width - In pixels.
 * @param {number} height - In pixels.
 * @returns {{width: number, height: number, data: Uint8Array}} RGB.
 */
export function dropAlpha(pixels, width, height) {
  checkPixels(pixels.length, width, height, 4);
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const alpha = pixels[from + 3];
    if (alpha === 255) {
      data[to] = pixels[from];
      data[to + 1] = pixels[from + 1];
      data[to + 2] = pixels[from + 2];
    } else {
      const white = 255 * (255 - alpha) + 127;
      for (let k = 0; k < 3; k++) data[to + k] = ((pixels[from + k] * alpha + white) / 255) | 0;
    }
  }
  return { width, height, data };
}

/** Turn a picture by quarters against the clock, as `np.rot90` does. */
export function turnPicture(picture, quarters) {
  const turns = ((quarters % 4) + 4) % 4;
  if (turns === 0) return picture;
  const { width, height } = picture;
  const size = turns === 2 ? { width, height } : { width: height, height: width };
  const data = new Uint8Array(picture.data.length);
  // where the upper left pixel comes from, and the steps to its right and lower neighbours
  const first = [0, width - 1, width * height - 1, width * (height - 1)][turns];
  const right = [1, width, -1, -width][turns];
  const lower = [width, -1, -width, 1][turns];
  for (let y = 0, to = 0; y < size.height; y++) {
    for (let x = 0, from = 3 * (first + y * lower); x < size.width; x++, from += 3 * right) {
      for (let k = 0; k < 3; k++) data[to++] = picture.data[from + k];
    }
  }
  return { ...size, data };
}

/**
 * Copy a rectangle of a picture, with black where it reaches past the right or lower border.
 * @param {object} picture
 * @param {{left: number, top: number, width: number, height: number}} place - In whole pixels;
 *   the upper left corner lies in the picture.
 * @returns {object} A picture.
 */
export function copyRectangle(picture, { left, top, width, height }) {
  const data = new Uint8Array(3 * width * height);
  const columns = Math.min(width, picture.width - left);
  for (let y = 0; y < Math.min(height, picture.height - top); y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * columns), 3 * y * width);
  }
  return { width, height, data };
}
