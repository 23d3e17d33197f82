// What goes to and fro between JavaScript and wasm, counted from before the edge is instantiated.

/** `crossings`: calls from one to the other, either way. `copiedBytes`: of large arrays, wherever they are copied. */
export const tally = { objectCalls: 0, crossings: 0, copiedBytes: 0 };

const LARGE_BYTES = 16_384;

const counted = (members) =>
  Object.fromEntries(
    Object.entries(members).map(([name, member]) => [
      name,
      typeof member !== "function" ? member : (...args) => ((tally.crossings += 1), member(...args)),
    ]),
  );

const { Instance } = WebAssembly;
WebAssembly.Instance = class {
  constructor(module, imports) {
    const modules = Object.entries(imports).map(([name, members]) => [name, counted(members)]);
    this.exports = counted(new Instance(module, Object.fromEntries(modules)).exports);
  }
};

const { set, slice } = Uint8Array.prototype;
Uint8Array.prototype.set = function (source, offset) {
  if (source.length >= LARGE_BYTES) tally.copiedBytes += source.length;
  return set.call(this, source, offset);
};
Uint8Array.prototype.slice = function (start, end) {
  const piece = slice.call(this, start, end);
  if (piece.length >= LARGE_BYTES) tally.copiedBytes += piece.length;
  return piece;
};
