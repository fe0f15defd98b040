/** What an answer is in words: the headline, the names of classes, the shares. */

const OWN_WORDS = { Sad: "class_sad", Happy: "class_happy" };
const NEARLY_ALL = 0.995;

/** Return a class name as the page's language has it; names of one's own as they are. */
export function nameClass(words, name) {
  return Object.hasOwn(OWN_WORDS, name) ? words.say(OWN_WORDS[name]) : name;
}

/** Return a class name for the middle of a sentence. */
function nameWithin(words, name) {
  return Object.hasOwn(OWN_WORDS, name) ? words.say(`${OWN_WORDS[name]}_within`) : name;
}

/** Return the name that the networks use for what a reader typed: "Traurig" is "Sad". */
export function readClassName(words, typed) {
  const known = Object.keys(OWN_WORDS).find((name) => nameClass(words, name) === typed);
  return known ?? typed;
}

/** Return the class names of an answer's faces, which may be others than the photo's. */
export function faceClasses(answer) {
  return answer.faceClassNames ?? answer.classNames;
}

/** Return the answer for one face or photo in a word: a class or "uncertain". */
export function nameAnswer(words, found, classNames) {
  return found.answer < 0 ? words.say("uncertain") : nameClass(words, classNames[found.answer]);
}

/** Return a probability as a share; what is nearly all is not called all, nor nearly nothing 0. */
export function writeShare(words, probability) {
  if (probability > NEARLY_ALL) return `>${words.share.format(0.99)}`;
  return probability < 1 - NEARLY_ALL
    ? `<${words.share.format(0.01)}`
    : words.share.format(probability);
}

/**
 * Say an answer in a few words.
 * @param {import("./texts.mjs").Words} words - The words.
 * @param {object} answer - What the worker answered.
 * @returns {{title: string, note: string}} Such as "Happy, 97% sure"; the note may be empty.
 */
export function writeHeadline(words, answer) {
  const { faces, photo } = answer;
  const answers = faces.length > 1 ? listAnswers(words, answer) : "";
  const counts = answers && words.say("faces", { count: faces.length, answers });
  if (photo) {
    const said = sayOne(words, photo, answer.classNames);
    return { title: said.title, note: counts || said.note };
  }
  if (!faces.length) return { title: words.say("no_face"), note: words.say("no_face_note") };
  if (counts) return { title: counts, note: "" };
  return sayOne(words, faces[0], faceClasses(answer));
}

/** Say an answer in as few words as fit below a small picture: "Happy 97%", "2 happy, 1 sad". */
export function writeBriefly(words, answer) {
  const { faces, photo } = answer;
  const found = photo ?? (faces.length === 1 ? faces[0] : null);
  if (!found) return faces.length ? listAnswers(words, answer) : words.say("no_face");
  const named = nameAnswer(words, found, photo ? answer.classNames : faceClasses(answer));
  const probability = found.probabilities[found.answer];
  return found.answer < 0 ? named : `${named} ${writeShare(words, probability)}`;
}

function sayOne(words, found, classNames) {
  if (found.answer < 0) {
    return { title: words.say("uncertain"), note: sayWhyUncertain(words, found, classNames) };
  }
  const probability = found.probabilities[found.answer];
  const answer = nameClass(words, classNames[found.answer]);
  const key = probability > NEARLY_ALL ? "sure_most" : "sure";
  const share = words.share.format(Math.min(probability, 0.99));
  return { title: words.say(key, { answer, share }), note: "" };
}

function sayWhyUncertain(words, found, classNames) {
  const shares = classNames.map(
    (name, label) => `${nameWithin(words, name)} ${writeShare(words, found.probabilities[label])}`,
  );
  const listed = shares.join(words.say("comma"));
  return (found.neither ?? 0) > words.neitherAbove ? words.say("looks_neither") : listed;
}

function listAnswers(words, { faces, ...answer }) {
  const classNames = faceClasses(answer);
  const counts = new Map();
  for (const face of faces) counts.set(face.answer, (counts.get(face.answer) ?? 0) + 1);
  const sorted = [...counts].sort((one, other) => other[1] - one[1]);
  const said = sorted.map(([label, count]) => {
    const name = label < 0 ? words.say("uncertain_within") : nameWithin(words, classNames[label]);
    return words.say("count_answer", { count, answer: name });
  });
  return said.join(words.say("comma"));
}

/** Say which networks the page carries, and its version. */
export function sayNetworks(words, { version = "", detector, face, joint, kind, title }) {
  const parts = [words.say("made_by", { version })];
  if (detector) parts.push(words.say("network_detector", { name: detector.name }));
  if (kind === "run") parts.push(words.say("network_run", { name: title }));
  else if (face) parts.push(words.say("network_face"));
  if (joint) parts.push(words.say("network_scene"));
  return parts.join(" ");
}
