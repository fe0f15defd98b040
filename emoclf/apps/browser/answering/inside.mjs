/** What a network sees: its input, the maps inside it, and what hiding each place does. */
import { PADDING_GREY } from "../vision/preparing.mjs";
import { roundHalfToEven } from "../vision/pixels.mjs";
import { decideAnswer, findLargest, summariseFaces } from "./answers.mjs";

const PATCHES = 5;
const PATCHES_OF_SCENE = 3;
const STEPS_PER_PATCH = 2;
const MAX_CHANNELS = 8;
const SHOWN_DEPTHS = 3;

/**
 * Look into the network that answers for one face, or for the photo as a whole.
 * @param {object} answerer - An `Answerer`.
 * @param {object} picture
 * @param {object|null} face - null for the photo as a whole.
 * @param {boolean} withOcclusion - Whether places are hidden, too, which takes longer.
 * @returns {{crop, classNames, answer, probabilities, maps, occlusion}} `occlusion` may be null.
 */
export function lookInside(answerer, picture, face, withOcclusion) {
  const shown = face ? showFace(answerer, picture, face) : showPhoto(answerer, picture);
  const { crop, network, predict, classNames, rule, patches } = shown;
  const { probabilities, neither = null } = predict(crop);
  const answer = decideAnswer(probabilities, neither, rule);
  const label = findLargest(probabilities);
  const measure = (hidden) => predict(hidden).probabilities[label];
  const occlusion = withOcclusion ? mapOcclusion(crop, measure, patches) : null;
  const maps = drawMaps(network, crop);
  return { crop, classNames, answer, probabilities, maps, occlusion };
}

/** Return what answers for a face: what it is shown, and how it predicts. */
function showFace(answerer, picture, face) {
  return {
    crop: answerer.cropOne(picture, face),
    network: answerer.answersByRun ? answerer.network : answerer.face,
    predict: (crop) => answerer.predictCrop(crop),
    classNames: answerer.faceClassNames,
    rule: answerer.rules.face,
    patches: PATCHES,
  };
}

/** Return the same for a photo in which no face was found. */
function showPhoto(answerer, picture) {
  const { needsScene } = answerer;
  const predictScene = (crop) => {
    const features = [...answerer.findSceneFeatures(crop), ...summariseFaces([], [])];
    return answerer.predictJoint(Float32Array.from(features));
  };
  return {
    crop: answerer.cropWhole(picture),
    network: needsScene ? answerer.scene : answerer.network,
    predict: needsScene ? predictScene : (crop) => answerer.predictCrop(crop),
    classNames: answerer.classNames,
    rule: answerer.rules.photo,
    patches: needsScene ? PATCHES_OF_SCENE : PATCHES,
  };
}

/**
 * Hide one place after the other and measure by how much a probability drops (Zeiler and Fergus,
 * 2014), with the squares and the grey of `make_occlusion_maps`.
 * @param {object} crop - A picture of the network's size.
 * @param {function(object): number} measure - The probability for a picture.
 * @param {number} patches - Squares side by side; they overlap by half of their side.
 * @returns {{height: number, width: number, values: Float32Array, hidden: number}} Of each place
 *   the mean drop of all squares that hid it, 0 or more; `hidden` is a square's side in pixels.
 */
export function mapOcclusion(crop, measure, patches) {
  const windows = [crop.height, crop.width].map((side) => findWindows(side, patches));
  const before = measure(crop);
  const drops = windows[0].map((rows) =>
    windows[1].map((columns) => before - measure(hidePlace(crop, rows, columns))),
  );
  const count = patches * STEPS_PER_PATCH;
  const values = new Float32Array(count * count);
  for (let y = 0; y < count; y++) {
    for (let x = 0; x < count; x++) {
      const sum = drops[y][x] + drops[y][x + 1] + drops[y + 1][x] + drops[y + 1][x + 1];
      values[y * count + x] = Math.max(0, sum / 4);
    }
  }
  const hidden = Math.round(Math.min(crop.height, crop.width) / patches);
  return { height: count, width: count, values, hidden };
}

/** Return the overlapping squares along one side, [first, end]; those at the ends hide a half. */
function findWindows(side, patches) {
  const last = patches * STEPS_PER_PATCH;
  const edges = Array.from({ length: last + 1 }, (_, n) => roundHalfToEven((n * side) / last));
  return edges.map((_, n) => [edges[Math.max(0, n - 1)], edges[Math.min(n + 1, last)]]);
}

function hidePlace(crop, [top, bottom], [left, right]) {
  const data = crop.data.slice();
  for (let y = top; y < bottom; y++) {
    data.fill(PADDING_GREY, 3 * (y * crop.width + left), 3 * (y * crop.width + right));
  }
  return { ...crop, data };
}

/** Draw the most active channels of up to three of the network's maps, from early to late. */
function drawMaps(network, crop) {
  const found = network.run(crop.data, crop.height, crop.width, network.maps);
  const maps = network.maps.filter((name) => {
    const { shape } = found[name];
    return shape.length === 3 && shape[0] * shape[1] > 1;
  });
  const steps = Math.min(SHOWN_DEPTHS, maps.length) - 1;
  const places = Array.from({ length: steps + 1 }, (_, n) =>
    Math.round(steps ? (n * (maps.length - 1)) / steps : 0),
  );
  return places.map((place) => ({ name: maps[place], ...drawChannels(found[maps[place]]) }));
}

/** Draw the channels with the largest sums, each from black to its own brightest, 255. */
function drawChannels({ data, shape: [height, width, count] }) {
  const sums = new Float64Array(count);
  data.forEach((value, index) => (sums[index % count] += value));
  const order = Array.from(sums.keys()).sort((a, b) => sums[b] - sums[a]);
  const channels = order.slice(0, MAX_CHANNELS).map((channel) => {
    const values = data.filter((_, index) => index % count === channel);
    const most = values.reduce((best, value) => Math.max(best, value), 0) || 1;
    return Uint8Array.from(values, (value) => Math.round((255 * Math.max(0, value)) / most));
  });
  return { height, width, channels };
}
