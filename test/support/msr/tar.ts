/** POSIX (ustar) archives, member by member, as `tar` writes them; and a reader for small ones, whole in memory. */
const BLOCK_BYTES = 512;

export interface TarMember {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'link';
  readonly content: Buffer;
}

export interface MemberChoices {
  readonly mode?: number;
  readonly modifiedMs?: number;
  /** Default `0` for files, `5` for names that end in `/`. */
  readonly typeFlag?: string;
}

/** @param name of at most 100 bytes; a folder's ends in `/`. */
export function tarMember(
  name: string,
  content: Uint8Array | string = '',
  choices: MemberChoices = {},
): Buffer {
  const bytes = Buffer.from(content);
  if (Buffer.byteLength(name) > 100) throw new RangeError(`"${name}" is too long for a ustar header`);
  const isFolder = name.endsWith('/');
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0);
  header.write(octal(choices.mode ?? (isFolder ? 0o700 : 0o600), 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(bytes.length, 11), 124);
  header.write(octal(Math.floor((choices.modifiedMs ?? Date.now()) / 1000), 11), 136);
  header.write(choices.typeFlag ?? (isFolder ? '5' : '0'), 156);
  header.write('ustar\u000000', 257);
  // The checksum counts its own eight bytes as blanks.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return Buffer.concat([header, bytes, padding]);
}

/** Two empty blocks, filled up to the size of a record as GNU tar and Go's writer leave them. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}

/** @throws Error where it ends before its end. */
export function readTar(archive: Buffer): readonly TarMember[] {
  const members: TarMember[] = [];
  for (let at = 0; ; ) {
    const header = archive.subarray(at, at + BLOCK_BYTES);
    if (header.length < BLOCK_BYTES) throw new Error('unexpected EOF');
    if (header.every((byte) => byte === 0)) return members;
    if (header.toString('latin1', 257, 262) !== 'ustar') throw new Error('archive/tar: invalid tar header');
    const text = (from: number, bytes: number): string =>
      header.toString('utf8', from, from + bytes).replace(/\0.*$/s, '');
    const sizeBytes = Number.parseInt(text(124, 12), 8);
    at += BLOCK_BYTES;
    if (at + sizeBytes > archive.length) throw new Error('unexpected EOF');
    const flag = text(156, 1);
    const type = flag === '5' ? 'directory' : flag === '0' || flag === '' ? 'file' : 'link';
    members.push({ name: text(0, 100), type, content: archive.subarray(at, at + sizeBytes) });
    at += Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
}
