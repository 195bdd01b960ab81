/**
 * The members of a tar archive as they stream by, in the order of the archive. Strict: what is not whole and in order is
 * an error, whatever the library that reads the headers would forgive.
 */
import { Parser, type ReadEntry } from 'tar';
import { BackupError } from './backup-error.ts';

export interface TarMember {
  /** As in the archive. */
  readonly path: string;
  readonly isFolder: boolean;
  /** Neither a file nor a folder. */
  readonly isOdd: boolean;
  readonly sizeBytes: number;
  readonly modifiedMs: number | undefined;
  /** Undefined where it was not wanted. */
  readonly content: Buffer | undefined;
}

const BLOCK_BYTES = 512;
/** First bytes of what packs archives. */
const PACKERS: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];
const FILES = ['File', 'OldFile', 'ContiguousFile'];
const FOLDERS = ['Directory'];

/**
 * @param name of the archive, for messages.
 * @param wants whose content is to be collected; it should look at the size.
 * @returns batches, one for each piece of the archive.
 */
export async function* tarMembers(
  archive: AsyncIterable<Uint8Array>,
  name: string,
  wants: (path: string, sizeBytes: number) => boolean,
): AsyncGenerator<readonly TarMember[]> {
  const reader = new TarReader(name, wants);
  for await (const piece of archive) {
    const members = reader.take(piece);
    if (members.length > 0) yield members;
  }
  reader.end();
}

class TarReader {
  readonly #name: string;
  readonly #wants: (path: string, sizeBytes: number) => boolean;
  readonly #parser: Parser;
  /** What is left of a piece when its whole blocks are gone. */
  #rest: Buffer = Buffer.alloc(0);
  #members: TarMember[] = [];
  #isBroken = false;
  #isBegun = false;
  /** Two empty blocks were seen: the end of the archive. */
  #isAtEnd = false;

  constructor(name: string, wants: (path: string, sizeBytes: number) => boolean) {
    this.#name = name;
    this.#wants = wants;
    this.#parser = new Parser({ strict: true, onReadEntry: (entry) => this.#onEntry(entry) });
    this.#parser.on('error', () => {
      this.#isBroken = true;
    });
    this.#parser.on('eof', () => {
      this.#isAtEnd = true;
    });
  }

  /** The parser works as it is written to, so members that ended in this piece are there when it returns. */
  take(piece: Uint8Array): readonly TarMember[] {
    const bytes = Buffer.concat([this.#rest, piece]);
    const whole = bytes.length - (bytes.length % BLOCK_BYTES);
    this.#rest = bytes.subarray(whole);
    if (!this.#isBegun && whole > 0) this.#begin(bytes);
    let given = 0;
    // An empty block is given by itself, so that what lies behind the last one is known to be behind the end.
    for (let at = 0; at < whole; at += BLOCK_BYTES) {
      if (this.#isAtEnd) this.#demandEmpty(bytes.subarray(at, at + BLOCK_BYTES));
      else if (bytes[at] === 0) {
        this.#give(bytes.subarray(given, at));
        this.#give(bytes.subarray(at, at + BLOCK_BYTES));
        given = at + BLOCK_BYTES;
      }
      if (this.#isAtEnd) given = at + BLOCK_BYTES;
    }
    this.#give(bytes.subarray(given, whole));
    const members = this.#members;
    this.#members = [];
    return members;
  }

  end(): void {
    if (!this.#isBegun && this.#rest.length > 0) this.#begin(this.#rest);
    if (this.#isAtEnd && this.#rest.length === 0) return;
    throw new BackupError(this.#name, 'truncated', 'it ends before the end of the archive', {
      hint: 'Take the backup anew, and look at the room on the disk and at the exit code of the command',
    });
  }

  #begin(bytes: Buffer): void {
    this.#isBegun = true;
    for (const [packer, first] of PACKERS) {
      if (!first.every((byte, at) => bytes[at] === byte)) continue;
      throw new BackupError(this.#name, 'compressed', `it is compressed with ${packer}`, {
        hint: 'Unpack it; MSR writes and restores plain tar',
      });
    }
  }

  #give(blocks: Buffer): void {
    if (blocks.length === 0) return;
    this.#parser.write(blocks);
    if (!this.#isBroken) return;
    // The parser's own error carries the header that it could not read, and so a piece of whatever this is.
    throw new BackupError(this.#name, 'no-archive', 'it is no tar archive, or a damaged one', {
      hint: 'Take the backup anew, without a terminal (docker run -i, not -it): a terminal changes bytes',
    });
  }

  #demandEmpty(block: Buffer): void {
    if (block.every((byte) => byte === 0)) return;
    throw new BackupError(this.#name, 'truncated', 'it goes on behind the end of the archive');
  }

  #onEntry(entry: ReadEntry): void {
    const { path, type, size, mtime } = entry;
    const isFile = FILES.includes(type);
    const isWanted = isFile && this.#wants(path, size);
    const pieces: Buffer[] = [];
    if (isWanted) entry.on('data', (piece: Buffer) => void pieces.push(piece));
    else entry.resume();
    entry.on('end', () =>
      this.#members.push({
        path,
        isFolder: FOLDERS.includes(type),
        isOdd: !isFile && !FOLDERS.includes(type),
        sizeBytes: size,
        modifiedMs: mtime?.getTime(),
        content: isWanted ? Buffer.concat(pieces) : undefined,
      }),
    );
  }
}
