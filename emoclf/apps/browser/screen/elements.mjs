/** Small helpers over the document: make an element, fill it, draw pixels, hand over a file. */

/**
 * Make an element.
 * @param {string} tag - Its kind, such as "p".
 * @param {string} [className] - Its classes.
 * @param {string} [text] - Its text; never read as HTML.
 * @returns {HTMLElement} The element.
 */
export function makeElement(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/**
 * Make a button.
 * @param {string} text - What stands on it.
 * @param {() => void} act - What it does.
 * @param {string} [className] - Its classes.
 * @returns {HTMLButtonElement} The button.
 */
export function makeButton(text, act, className = "button") {
  const button = makeElement("button", className, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

/** Return the element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Set an element's text where it differs, so that nothing is read out or laid out twice. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Draw a picture into a canvas, which takes its size.
 * @param {HTMLCanvasElement} canvas - Where to.
 * @param {{width: number, height: number, data: Uint8Array}} picture - RGB, 3 bytes a pixel.
 */
export function drawRgb(canvas, { width, height, data }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; to < image.data.length; from += 3, to += 4) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
    image.data[to + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Draw one grey map, uint8 `(height, width)`, into a canvas, which takes its size. */
export function drawGrey(canvas, grey, width, height) {
  const data = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    data.fill(grey[pixel], 3 * pixel, 3 * pixel + 3);
  }
  drawRgb(canvas, { width, height, data });
}

/**
 * Offer a file for saving.
 * @param {Blob} blob - What it holds.
 * @param {string} name - Its name.
 */
export function offerFile(blob, name) {
  const link = makeElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.hidden = true;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
