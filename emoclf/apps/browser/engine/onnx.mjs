// Read an ONNX file: the few fields of its protocol buffers that a network's prediction needs.
// Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

const ELEMENT_ARRAYS = {
  1: Float32Array, 2: Uint8Array, 3: Int8Array, 6: Int32Array, 7: BigInt64Array, 11: Float64Array,
};
const HALF_ELEMENTS = 10;

/**
 * Read the graph of an ONNX file.
 *
 * @param {Uint8Array} bytes The file.
 * @returns {{nodes: Array, constants: Map<string, object>, inputs: Array, outputs: string[]}}
 *   Nodes in the order of the file ({op, inputs, outputs, attributes}); constants by name ({shape,
 *   data}), where data is a typed array (of float16 a Float32Array, of int64 an Array of numbers);
 *   inputs ({name, shape, element}), with a shape of numbers or names.
 */
export function readOnnx(bytes) {
  const model = readFields(bytes);
  if (!model[7]) throw new Error("This file is no ONNX network, or is damaged.");
  const graph = readFields(model[7][0]);
  const constants = new Map();
  for (const each of graph[5] ?? []) {
    const tensor = readTensor(each);
    constants.set(tensor.name, tensor);
  }
  const inputs = (graph[11] ?? []).map(readInput).filter((each) => !constants.has(each.name));
  const outputs = (graph[12] ?? []).map((each) => readText(readFields(each)[1][0]));
  return { nodes: (graph[1] ?? []).map(readNode), constants, inputs, outputs };
}

function readNode(bytes) {
  const fields = readFields(bytes);
  const attributes = {};
  for (const each of (fields[5] ?? []).map(readFields)) {
    attributes[readText(each[1][0])] = readAttribute(each);
  }
  return {
    op: readText(fields[4][0]),
    inputs: (fields[1] ?? []).map(readText),
    outputs: (fields[2] ?? []).map(readText),
    attributes,
  };
}

function readAttribute(fields) {
  if (fields[5]) return readTensor(fields[5][0]);
  if (fields[7]) return readFloats(fields[7]);
  if (fields[8]) return readWholes(fields[8]);
  if (fields[2]) return readFloats(fields[2])[0];
  if (fields[4]) return readText(fields[4][0]);
  return fields[3] ? Number(BigInt.asIntN(64, fields[3][0])) : 0;
}

function readInput(bytes) {
  const fields = readFields(bytes);
  const type = readFields(readFields(fields[2][0])[1][0]);
  const sides = type[2] ? readFields(type[2][0])[1] ?? [] : [];
  const shape = sides.map(readFields).map((each) => (each[1] ? Number(each[1][0]) : "free"));
  return { name: readText(fields[1][0]), shape, element: Number(type[1][0]) };
}

function readTensor(bytes) {
  const fields = readFields(bytes);
  const element = Number(fields[2][0]);
  const shape = readWholes(fields[1] ?? []);
  const name = fields[8] ? readText(fields[8][0]) : "";
  let data = [];
  if (fields[9]) data = readElements(fields[9][0], element);
  else if (fields[4]) data = Float32Array.from(readFloats(fields[4]));
  else if (fields[5] ?? fields[7]) data = readWholes(fields[5] ?? fields[7]);
  if (data.length !== shape.reduce((product, side) => product * side, 1)) {
    throw new Error(`The ONNX file is damaged: '${name}' has another size than it says.`);
  }
  return { name, shape, data };
}

function readElements(bytes, element) {
  const memory = new Uint8Array(bytes).buffer;
  if (element === HALF_ELEMENTS) return readHalves(new Uint16Array(memory));
  const Elements = ELEMENT_ARRAYS[element];
  if (!Elements) throw new Error(`The ONNX file has numbers of the unknown kind ${element}.`);
  const data = new Elements(memory);
  return data instanceof BigInt64Array ? Array.from(data, Number) : data;
}

/** Turn half-precision numbers (IEEE 754, 16 bits each) into a Float32Array. */
function readHalves(halves) {
  const data = new Float32Array(halves.length);
  const bits = new Uint32Array(data.buffer);
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >> 10) & 31;
    const sign = (halves[i] & 0x8000) << 16;
    if (exponent === 0) data[i] = (sign ? -1 : 1) * (halves[i] & 1023) * 2 ** -24;
    else {
      const wide = exponent === 31 ? 255 : exponent + 112;
      bits[i] = sign | (wide << 23) | ((halves[i] & 1023) << 13);
    }
  }
  return data;
}

/** Return the values of a message by field: BigInt for varints, Uint8Array for all others. */
function readFields(bytes) {
  const fields = {};
  let at = 0;
  while (at < bytes.length) {
    const [tag, start] = readVarint(bytes, at);
    const [value, next] = readValue(bytes, start, Number(tag & 7n));
    (fields[Number(tag >> 3n)] ??= []).push(value);
    at = next;
  }
  return fields;
}

function readValue(bytes, at, wire) {
  if (wire === 0) return readVarint(bytes, at);
  const [size, start] =
    wire === 2 ? readVarint(bytes, at).map(Number) : [{ 1: 8, 5: 4 }[wire], at];
  if (size === undefined || start + size > bytes.length) {
    throw new Error("This file is no ONNX network, or is damaged.");
  }
  return [bytes.subarray(start, start + size), start + size];
}

function readVarint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[at++];
    if (byte === undefined) break;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [value, at];
  }
  throw new Error("This file is no ONNX network, or is damaged.");
}

/** Return whole numbers, packed into one value or one by one. */
function readWholes(values) {
  const found = [];
  for (const each of values) {
    if (typeof each === "bigint") found.push(Number(BigInt.asIntN(64, each)));
    for (let at = 0; at < (each.length ?? 0); ) {
      const [value, next] = readVarint(each, at);
      found.push(Number(BigInt.asIntN(64, value)));
      at = next;
    }
  }
  return found;
}

function readFloats(values) {
  return values.flatMap((each) => Array.from(new Float32Array(new Uint8Array(each).buffer)));
}

function readText(bytes) {
  return new TextDecoder().decode(bytes);
}
