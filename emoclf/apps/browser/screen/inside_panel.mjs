/** What the network sees: the crop, the feature maps, and what hiding each place does. */
import { byId, drawGrey, drawRgb, makeButton, makeElement, setText } from "./elements.mjs";
import { nameClass, writeShare } from "./wording.mjs";

const DEPTHS = ["inside_early", "inside_middle", "inside_late"];
const DARKEST = 0.8;
const NOTICEABLE = 0.005;

/** Shows a look into the network; a later look of the same kind is drawn into the same places. */
export class InsidePanel {
  /**
   * @param {import("./texts.mjs").Words} words - The words.
   * @param {() => void} ask - Asks for the map of hiding, which is made on demand.
   */
  constructor(words, ask) {
    Object.assign(this, { words, ask, found: null, kind: "", emptyKey: "inside_empty" });
  }

  /** Show nothing, and why. */
  clear(key = "inside_empty") {
    Object.assign(this, { found: null, kind: "", emptyKey: key });
    this.drawWords();
  }

  /** Write the words again, in another language. */
  drawWords() {
    byId("inside").hidden = !this.found;
    byId("inside-empty").hidden = Boolean(this.found);
    setText(byId("inside-empty"), this.words.say(this.emptyKey));
    if (this.found) this.show(this.found);
  }

  /** Show what the worker answered to "inside". */
  show(found) {
    const { crop, maps, occlusion } = found;
    const sizes = maps.map((map) => [map.width, map.height, map.channels.length]);
    const kind = JSON.stringify([this.words.language, crop.width, crop.height, sizes, !occlusion]);
    this.found = found;
    if (kind !== this.kind) this.build(found);
    this.kind = kind;
    for (const paint of this.painters) paint(found);
    byId("inside").hidden = false;
    byId("inside-empty").hidden = true;
  }

  build(found) {
    const { words } = this;
    this.painters = [];
    const pair = makeElement("div", "inside-pair");
    pair.append(this.makeCrop(found), found.occlusion ? this.makeHiding(found) : this.makeOffer());
    const title = makeElement("h2", "", words.say("inside_maps_title"));
    const about = makeElement("p", "small", words.say("inside_maps"));
    const depths = found.maps.map((map, depth) => this.makeMaps(map, depth));
    byId("inside").replaceChildren(pair, title, about, ...depths);
  }

  makeCanvas(label, paint) {
    const canvas = makeElement("canvas", "pixels");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    this.painters.push((found) => paint(canvas, found));
    return canvas;
  }

  makeCrop({ crop: { width, height } }) {
    const title = this.words.say("inside_crop_title");
    const canvas = this.makeCanvas(title, (target, { crop }) => drawRgb(target, crop));
    return makeFigure(canvas, title, this.words.say("inside_crop", { width, height }));
  }

  /** What stands where the map of hiding is not made yet: a button that asks for it. */
  makeOffer() {
    const { words } = this;
    const place = makeElement("div", "pixels missing");
    place.append(makeButton(words.say("inside_hiding_ask"), this.ask));
    return makeFigure(place, words.say("inside_hiding_title"), words.say("inside_hiding_later"));
  }

  makeHiding({ occlusion: { hidden } }) {
    const { words } = this;
    const title = words.say("inside_hiding_title");
    const canvas = this.makeCanvas(title, (target, { crop, occlusion }) => {
      drawHiding(target, crop, occlusion);
    });
    const figure = makeFigure(canvas, title, words.say("inside_legend"));
    const most = makeElement("span", "legend");
    this.painters.push((found) => setText(most, this.sayMost(found)));
    const how = makeElement("span", "small", words.say("inside_hiding", { side: hidden }));
    figure.querySelector("figcaption").append(most, how);
    return figure;
  }

  sayMost({ occlusion, classNames, probabilities }) {
    const { words } = this;
    const before = Math.max(...probabilities);
    const most = Math.max(...occlusion.values);
    return words.say(most > NOTICEABLE ? "inside_most" : "inside_none", {
      answer: nameClass(words, classNames[probabilities.indexOf(before)]),
      before: writeShare(words, before),
      after: writeShare(words, Math.max(0, before - most)),
    });
  }

  makeMaps({ height, width, channels }, depth) {
    const { words } = this;
    const part = makeElement("section", "maps");
    const holder = makeElement("div", "maps-row");
    const size = words.say("inside_size", { width, height });
    channels.forEach((_, channel) => {
      const label = `${words.say(DEPTHS[depth])} ${channel + 1}`;
      holder.append(
        this.makeCanvas(label, (target, { maps }) => {
          drawGrey(target, maps[depth].channels[channel], width, height);
        }),
      );
    });
    part.append(
      makeElement("h3", "", words.say(DEPTHS[depth])),
      makeElement("p", "small", size),
      holder,
    );
    return part;
  }
}

function makeFigure(picture, title, text) {
  const figure = makeElement("figure");
  const caption = makeElement("figcaption");
  caption.append(makeElement("strong", "", title), makeElement("span", "small", text));
  figure.append(picture, caption);
  return figure;
}

/** Draw the crop in grey, darker where hiding lowers the answer's probability most. */
function drawHiding(canvas, { width, height, data }, { values, ...map }) {
  const most = Math.max(...values, 2 * NOTICEABLE);
  const shaded = new Uint8Array(data.length);
  for (let y = 0; y < height; y += 1) {
    const line = map.width * Math.floor((y * map.height) / height);
    for (let x = 0; x < width; x += 1) {
      const drop = values[line + Math.floor((x * map.width) / width)];
      const from = 3 * (y * width + x);
      const grey = 0.299 * data[from] + 0.587 * data[from + 1] + 0.114 * data[from + 2];
      const light = 1 - DARKEST * Math.max(0, drop / most);
      shaded.fill(Math.round(light * (70 + 0.72 * grey)), from, from + 3); // dark stays visible
    }
  }
  drawRgb(canvas, { width, height, data: shaded });
}
