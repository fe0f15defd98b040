// The kernel (kernel.wat, compiled) and its memory: what networks keep, then what a run needs.

const PAGE_BYTES = 65536;

/**
 * Load the kernel.
 *
 * @param {Uint8Array} bytes kernel.wasm.
 * @returns {Promise<Memory>} Its functions are in `run`.
 * @throws {Error} If the browser has no WebAssembly with SIMD.
 */
export async function loadKernel(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return new Memory(instance.exports);
}

class Memory {
  constructor(exports) {
    this.run = exports;
    this.kept = 64;
    this.borrowed = [];
    this.view = new Float32Array(exports.memory.buffer);
  }

  /** All of the memory as floats; a float's address is four times its place. */
  get floats() {
    if (this.view.buffer !== this.run.memory.buffer) {
      this.view = new Float32Array(this.run.memory.buffer);
    }
    return this.view;
  }

  /** Keep values for good, and return their address. */
  keep(values) {
    if (this.borrowed.length) throw new Error("A network cannot be loaded while another runs.");
    const address = this.kept;
    this.kept = roundUp(address + 4 * values.length);
    this.ensure(this.kept);
    this.floats.set(values, address / 4);
    return address;
  }

  /** Borrow memory until it is given back, and return its address; what is in it is any number. */
  borrow(bytes) {
    const size = roundUp(bytes);
    let address = this.kept;
    let place = 0;
    for (; place < this.borrowed.length; place++) {
      if (this.borrowed[place].address - address >= size) break;
      address = this.borrowed[place].address + this.borrowed[place].size;
    }
    this.ensure(address + size);
    this.borrowed.splice(place, 0, { address, size });
    return address;
  }

  giveBack(address) {
    this.borrowed = this.borrowed.filter((each) => each.address !== address);
  }

  giveAllBack() {
    this.borrowed = [];
  }

  ensure(bytes) {
    const missing = bytes - this.run.memory.buffer.byteLength;
    if (missing > 0) this.run.memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

function roundUp(bytes) {
  return Math.ceil(bytes / 64) * 64;
}
