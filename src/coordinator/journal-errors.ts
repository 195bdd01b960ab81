/** What SQLite says, in words that tell what to do. */
import { ConfigError } from '../core/errors.ts';

/** Primary result codes: https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** @param holder who has it, where that is known: "process 12 on host, since …". */
export function explainJournalError(path: string, error: unknown, holder?: string): ConfigError {
  if (error instanceof ConfigError) return error;
  const { message, code, errcode } = error as NodeJS.ErrnoException & { readonly errcode?: number };
  const say = (sentence: string, hint: string) => new ConfigError(sentence, { cause: error, hint });
  // The upper bits say more than is asked here.
  const result = errcode === undefined ? undefined : errcode & 0xff;
  if (result === SQLITE_BUSY || result === SQLITE_LOCKED) {
    return say(
      `Another blobferry${holder === undefined ? '' : ` (${holder})`} is at work on the journal ${path}`,
      'Wait until it ends or stop it; two runs of one job at once would disturb each other',
    );
  }
  if (result === SQLITE_FULL || code === 'ENOSPC') {
    return say(
      `The journal ${path} cannot be written: the disk is full`,
      'Make room there, then run again: what was copied is found again',
    );
  }
  if (result === SQLITE_CORRUPT || result === SQLITE_NOTADB || /^no such (table|column)/.test(message)) {
    return say(
      `The file ${path} is damaged, or no journal: ${message}`,
      'Move it away and run again with --into-nonempty: what was copied is found again',
    );
  }
  if (result === SQLITE_IOERR) {
    return say(
      `The journal ${path} cannot be read or written: ${message}`,
      'Check the disk it lies on (full, a quota, a network that is gone), then run again: what was copied is found again',
    );
  }
  // What the file system says begins with its code; "ERR_SQLITE_ERROR", the code of all else, says nothing.
  return say(
    `Cannot use the journal ${path}: ${message}`,
    'Check that the folder can be written, or choose another with --journal',
  );
}
