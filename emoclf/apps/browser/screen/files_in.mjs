/** The ways in which photos come: chosen, dropped anywhere, pasted, or one of the drawn samples. */
import { byId, makeButton, makeElement } from "./elements.mjs";
import { readJson, readSample } from "./embedded.mjs";

/**
 * Listen for photos.
 * @param {(files: File[]) => void} take - Called with the files, one or more.
 */
export function listenForFiles(take) {
  const give = (list) => {
    if (list?.length) take([...list]);
  };
  const chooser = byId("photo-files");
  for (const id of ["photos", "welcome-photos"]) {
    byId(id).addEventListener("click", () => chooser.click());
  }
  chooser.addEventListener("change", () => {
    give(chooser.files);
    chooser.value = "";
  });
  document.addEventListener("paste", (event) => give(event.clipboardData?.files));
  const mark = (isOver) => byId("page").classList.toggle("dropping", isOver);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(event.dataTransfer?.types.includes("Files") ?? false);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    give(event.dataTransfer?.files);
  });
}

/** Show the drawn samples to try, named in the page's language. */
export function fillSamples(words, take) {
  const samples = readJson("samples", []);
  byId("samples-part").hidden = !samples.length;
  const made = samples.map((uri, place) => {
    const name = words.say("sample", { number: place + 1 });
    const button = makeButton("", () => take([readSample(uri, name)]), "sample");
    const image = makeElement("img");
    Object.assign(image, { src: uri, alt: name });
    button.append(image);
    return button;
  });
  byId("sample-faces").replaceChildren(...made);
}
