/**
 * The bytes of a WebAssembly module (https://www.w3.org/TR/wasm-core-2/#binary-format) that does the loops of a checksum:
 * vectors of 16 bytes are beyond what JavaScript has. What is computed: reflected-crc.ts.
 */

/** What the module exports. Addresses are in its own memory. */
export interface CrcModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  /**
   * Each 16 bytes of `[source, end)` become themselves XOR the 16 bytes at each offset from `history`, which moves on with
   * them. `end − source` is a multiple of 16, and not 0. May be done in place.
   */
  fold(source: number, history: number, end: number): void;
  /** The register behind `[from, end)`, by eight tables of 256 entries at address 0. */
  sum(register: bigint, from: number, end: number): bigint;
}

export const TABLE_ROWS = 8;
export const TABLES_BYTES = TABLE_ROWS * 256 * 8;

type Code = readonly number[];

/** Node has it; its types are among those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const I32 = 0x7f;
const I64 = 0x7e;
const EMPTY = 0x40;
const END = 0x0b;
const [BLOCK, LOOP, BR, BR_IF] = [[0x02, EMPTY], [0x03, EMPTY], 0x0c, 0x0d] as const;
const [I32_LT_U, I32_GT_U, I32_GE_U, I32_ADD, I32_SHL] = [0x49, 0x4b, 0x4f, 0x6a, 0x74] as const;
const [I64_AND, I64_XOR, I64_SHR_U, I32_WRAP_I64] = [0x83, 0x85, 0x88, 0xa7] as const;
const V128_XOR: Code = [0xfd, 0x51];

/** @param offsets of `fold`, in bytes. @param pages of 64 KiB. */
export function makeCrcModule(offsets: readonly number[], pages: number): CrcModule {
  const types = [
    [0x60, ...list([[I32], [I32], [I32]]), ...list([])],
    [0x60, ...list([[I64], [I32], [I32]]), ...list([[I64]])],
  ];
  const names = [
    [...text('memory'), 2, 0],
    [...text('fold'), 0, 0],
    [...text('sum'), 0, 1],
  ];
  const bytes = new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, list(types)),
    ...section(3, list([[0], [1]])),
    ...section(5, list([[0x00, ...unsigned(pages)]])),
    ...section(7, list(names)),
    ...section(10, list([body([], foldCode(offsets)), body([[1, I64]], sumCode())])),
  ]);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as CrcModule;
}

/** Locals: source, history, end. */
function foldCode(offsets: readonly number[]): Code {
  const [source, history, end] = [0, 1, 2];
  const terms = offsets.flatMap((offset) => [...load16(history, offset), ...V128_XOR]);
  return [
    ...LOOP,
    ...[...get(source), ...load16(source, 0), ...terms, 0xfd, 0x0b, 4, 0],
    ...[...advance(source, 16), ...advance(history, 16)],
    ...[...get(source), ...get(end), I32_LT_U, BR_IF, 0, END],
  ];
}

/** Locals: register, from, end, and the word in hand. Eight bytes at a time, then one by one. */
function sumCode(): Code {
  const [register, from, end, word] = [0, 1, 2, 3];
  const entries = Array.from({ length: TABLE_ROWS }, (_, byte) => {
    const value = [...get(word), ...long(8 * byte), I64_SHR_U];
    return [...value, ...entryOf(TABLE_ROWS - 1 - byte), ...(byte === 0 ? [] : [I64_XOR])];
  });
  const next8 = [...get(from), 0x29, 0, 0, ...get(register), I64_XOR, ...set(word)];
  const next1 = [...get(register), ...get(from), 0x31, 0, 0, I64_XOR, ...entryOf(0)];
  return [
    ...[...BLOCK, ...LOOP, ...get(from), ...int(8), I32_ADD, ...get(end), I32_GT_U, BR_IF, 1],
    ...[...next8, ...entries.flat(), ...set(register), ...advance(from, 8), BR, 0, END, END],
    ...[...BLOCK, ...LOOP, ...get(from), ...get(end), I32_GE_U, BR_IF, 1],
    ...[...next1, ...get(register), ...long(8), I64_SHR_U, I64_XOR, ...set(register)],
    ...[...advance(from, 1), BR, 0, END, END, ...get(register)],
  ];
}

/** Replaces the value on the stack by what a row of the tables has for its lowest byte. */
function entryOf(row: number): Code {
  return [...long(255), I64_AND, I32_WRAP_I64, ...int(3), I32_SHL, 0x29, 3, ...unsigned(row * 256 * 8)];
}

function get(local: number): Code {
  return [0x20, local];
}

function set(local: number): Code {
  return [0x21, local];
}

function int(value: number): Code {
  return [0x41, ...signed(value)];
}

function long(value: number): Code {
  return [0x42, ...signed(value)];
}

function advance(local: number, bytes: number): Code {
  return [...get(local), ...int(bytes), I32_ADD, ...set(local)];
}

function load16(local: number, offset: number): Code {
  return [...get(local), 0xfd, 0x00, 4, ...unsigned(offset)];
}

function body(locals: readonly Code[], code: Code): Code {
  const bytes = [...list(locals), ...code, END];
  return [...unsigned(bytes.length), ...bytes];
}

function section(id: number, bytes: Code): Code {
  return [id, ...unsigned(bytes.length), ...bytes];
}

function list(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): Code {
  return [...unsigned(name.length), ...Buffer.from(name)];
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** Of a number that is not negative: the highest bit of the last byte is its sign. */
function signed(value: number): Code {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}
