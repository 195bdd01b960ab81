/** Reads a small text file that a user named. */
import { open } from 'node:fs/promises';
import { ConfigError } from '../../core/errors.ts';

/** Far above any configuration, far below what would hurt. */
const FILE_BYTES_MAX = 1024 * 1024;

export interface TextFileWords {
  /** The beginning of every message, without the file: `Cannot read the source's settings`. */
  readonly failed: string;
  /** What to do when it is a folder. */
  readonly hintForFolder?: string;
  /** What to do when it cannot be read. */
  readonly hint: string;
}

/** @throws ConfigError naming the file. */
export async function readTextFile(file: string, words: TextFileWords): Promise<string> {
  const bytes = await readBytes(file, words);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigError(`${words.failed} from "${file}": not UTF-8 text`, { cause });
  }
}

/** Also from a pipe, as of `<(…)` in a shell, whose size is not known beforehand. */
async function readBytes(
  file: string,
  { failed: what, hint, hintForFolder }: TextFileWords,
): Promise<Uint8Array> {
  const failed = `${what} from "${file}"`;
  try {
    await using handle = await open(file, 'r');
    if ((await handle.stat()).isDirectory()) {
      throw new ConfigError(`${failed}: it is a folder`, { hint: hintForFolder ?? hint });
    }
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
    let filled = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled);
      filled += bytesRead;
      if (bytesRead === 0) return buffer.subarray(0, filled);
      if (filled > FILE_BYTES_MAX) throw new ConfigError(`${failed}: more than ${FILE_BYTES_MAX} bytes`);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${failed}: ${whyNot(error)}`, { hint, cause: error });
  }
}

function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
