/** JSON in the journal's columns: it was written by blobferry, and read back from a disk. */
import { ConfigError } from '../core/errors.ts';

/** @throws ConfigError where it is no list of names: whatever acts on it must not guess. */
export function namesInColumn(text: string, journalPath: string): readonly string[] {
  const value = parsed(text);
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  throw new ConfigError(`The file ${journalPath} is damaged: a list of names in it is none`, {
    hint: 'Move it away and run again with --into-nonempty: what was copied is found again',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
