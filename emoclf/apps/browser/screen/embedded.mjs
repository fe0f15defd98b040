/** What the page carries in itself: networks, words and drawn samples, each in one element. */

/** Return the bytes that a base64 text stands for. */
function decodeBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < bytes.length; place += 1) bytes[place] = letters.charCodeAt(place);
  return bytes;
}

/** Return the JSON value that an element carries, or `missing`. */
export function readJson(id, missing) {
  const found = document.getElementById(id);
  return found ? JSON.parse(found.textContent) : missing;
}

/** Return the bytes that an element carries and free its text; undefined without the element. */
export function takeBytes(id) {
  const found = document.getElementById(id);
  if (!found) return undefined;
  const bytes = decodeBase64(found.textContent.trim());
  found.textContent = "";
  return bytes;
}

/** Return a drawn sample, a data URI, as a file of this name. */
export function readSample(uri, name) {
  const [head, body] = uri.split(",");
  const type = head.slice(5).split(";")[0];
  return new File([decodeBase64(body)], name, { type });
}
