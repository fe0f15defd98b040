/** From a file of the reader's to an upright picture: looked at before it is trusted. */
import { Problem } from "./texts.mjs";

const MAX_MEGABYTES = 40;
const MAX_MEGAPIXELS = 50;
const LONGEST_SIDE_PX = 3072;
const LOOKED_AT_BYTES = 512;
const SHOWN_NAME = 32;

/**
 * Return a file's name fit to be shown: without signs that hide or turn text, shortened.
 * @param {string} name - As the file has it.
 */
export function showFileName(name) {
  const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
  const letters = [...name.replace(hidden, "").replace(/\s+/g, " ").trim()];
  if (letters.length <= SHOWN_NAME) return letters.join("") || "?";
  return `${letters.slice(0, SHOWN_NAME - 13).join("")}…${letters.slice(-12).join("")}`;
}

/**
 * Say what a file is by its first bytes.
 * @param {Uint8Array} bytes - Its beginning.
 * @returns {string} A type such as "image/jpeg"; "svg", "text" or "" for what is no photo.
 */
export function sniffType(bytes) {
  const letters = String.fromCharCode(...bytes.subarray(0, LOOKED_AT_BYTES));
  if (letters.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (letters.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (/^GIF8[79]a/.test(letters)) return "image/gif";
  if (/^RIFF[^]{4}WEBP/.test(letters)) return "image/webp";
  if (letters.slice(4, 8) === "ftyp") return sniffBrand(letters.slice(8, 64));
  if (letters.startsWith("BM") && !isText(bytes)) return "image/bmp";
  if (!isText(bytes)) return "";
  return /<svg[\s>:]|<!DOCTYPE svg/i.test(letters) ? "svg" : "text";
}

function sniffBrand(brands) {
  if (/avi[fs]/.test(brands)) return "image/avif";
  return /hei[cxms]|hev[cxms]|mif1|msf1/.test(brands) ? "image/heic" : "";
}

/** Whether bytes read as text: UTF-8 or UTF-16 with its mark, no control characters. */
function isText(bytes) {
  if (/^(\xff\xfe|\xfe\xff)/.test(String.fromCharCode(...bytes.subarray(0, 2)))) return true;
  // The end may cut a letter of several bytes in two.
  const text = new TextDecoder().decode(bytes).replace(/\ufffd{1,3}$/, "");
  return !/[\0-\x08\x0e-\x1a\x1c-\x1f\ufffd]/.test(text);
}

/**
 * Read a photo.
 * @param {File} file - Any file; its name and type are not believed.
 * @returns {Promise<HTMLCanvasElement>} The photo, upright, its longest side 3072 px or less.
 * @throws {Problem} If it is no photo, damaged or too large.
 */
export async function readPhoto(file) {
  const name = showFileName(file.name);
  const megabytes = file.size / 1e6;
  if (megabytes > MAX_MEGABYTES) {
    throw new Problem("problem_photo_large", { name, megabytes, limit: MAX_MEGABYTES });
  }
  if (!file.size) throw new Problem("problem_photo_empty", { name });
  const type = sniffType(await readStart(file, name));
  const refused = {
    svg: "problem_photo_svg",
    text: "problem_photo_text",
    "": "problem_photo_kind",
  };
  if (Object.hasOwn(refused, type)) throw new Problem(refused[type], { name });
  return drawUpright(file.slice(0, file.size, type), type, name);
}

async function readStart(file, name) {
  try {
    return new Uint8Array(await file.slice(0, LOOKED_AT_BYTES).arrayBuffer());
  } catch {
    throw new Problem("problem_photo_gone", { name });
  }
}

async function drawUpright(blob, type, name) {
  const address = URL.createObjectURL(blob);
  const image = new Image();
  try {
    await new Promise((resolve, reject) => {
      image.addEventListener("load", resolve);
      image.addEventListener("error", reject);
      image.src = address;
    });
    return drawImage(image, name);
  } catch (error) {
    if (error instanceof Problem) throw error;
    const key = type === "image/heic" ? "problem_photo_heic" : "problem_photo_damaged";
    throw new Problem(key, { name });
  } finally {
    URL.revokeObjectURL(address);
  }
}

function drawImage(image, name) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const megapixels = (width * height) / 1e6;
  if (!megapixels) throw new Problem("problem_photo_damaged", { name });
  if (megapixels > MAX_MEGAPIXELS) {
    throw new Problem("problem_photo_pixels", { name, megapixels, limit: MAX_MEGAPIXELS });
  }
  const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * width));
  canvas.height = Math.max(1, Math.round(scale * height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // as emoclf does: what is transparent lies on white
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Return a canvas's pixels, RGBA, with their size, as the worker takes them. */
export function takePixels(canvas) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return { pixels: context.getImageData(0, 0, width, height).data.buffer, width, height };
}
