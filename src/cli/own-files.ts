/** Where files of this program lie: built, `src/cli/x.ts` is `dist/src/cli/x.js`, one folder deeper and with another ending. */
const IS_BUILT = import.meta.url.endsWith('.js');

/** Entry of the worker threads. */
export const WORKER_URL = new URL(
  IS_BUILT ? '../../workers/copy.js' : '../../workers/copy.ts',
  import.meta.url,
);

export const PACKAGE_URL = new URL(
  IS_BUILT ? '../../../package.json' : '../../package.json',
  import.meta.url,
);
