/**
 * The examples that a head learns from, and which of them belong together.
 *
 * What the worker calls of this folder:
 *
 *   new ExampleStore(classNames)          examples.mjs; throws for names that no class may have
 *     .add({ features, thumbnail, label, group, seconds }) -> id, or null: it is full
 *     .remove(ids)  .clear(label)  .rename(label, name)  .counts  .classNames
 *   teachHead(store, { features: "face"|"joint", network: sha256 })
 *     -> { head, accuracy, confusion, warnings: [{ key, values }], counts }     evaluating.mjs
 *   predictHead(head, features) -> Float32Array(classes)                         head.mjs
 *   writeHead(head) -> text
 *   readHead(text, { face: sha256|null, joint: sha256|null }) -> head
 *
 *   head = { features, network, classNames, mean, scale, weights, bias, uncertainBelow,
 *            accuracy, examples }
 *
 * What cannot be done throws an Error with `problem`, a key of the page's texts, and `detail`, an
 * object with the values of its placeholders.
 */

export class ExampleStore {}
